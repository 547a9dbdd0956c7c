from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests._fakes import card_values, make_package
from tests.registry._cards import listing

from napari_medsyn.errors import MedsynError, UnusableFile, UnusableModel
from napari_medsyn.registry import archives
from napari_medsyn.registry.archives import MAX_DIRECTORY_BYTES, pack, unlisted_files, unpack
from napari_medsyn.registry.packages import verify


@pytest.fixture
def package(tmp_path):
    return make_package(tmp_path / "package")


def contents(package: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in package.iterdir()}


def write_zip(path: Path, entries: list[tuple[Any, bytes]], **options: Any) -> Path:
    """A zip of (name or ZipInfo, content), as they are."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def zip_of(path: Path, package: Path, *more: tuple[Any, bytes], **options: Any) -> Path:
    """A zip of a good package with something more."""
    return write_zip(path, [*contents(package).items(), *more], **options)


def refusal(archive: Path, tmp_path: Path) -> str:
    """Why an archive is refused; nothing may have appeared anywhere below `tmp_path`."""
    before = listing(tmp_path)
    with pytest.raises(MedsynError) as caught:
        unpack(archive, tmp_path / "out" / "unpacked")
    after = listing(tmp_path)
    after.pop("out", None)
    before.pop("out", None)
    assert after == before
    return str(caught.value)


def special(name: str, mode: int = 0, dos: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16 | dos
    return info


# ---- packing ---------------------------------------------------------------------------


def test_what_is_packed_unpacks_to_the_same_package(package, tmp_path):
    card = pack(package, tmp_path / "a.zip")
    assert unpack(tmp_path / "a.zip", tmp_path / "b") == card == verify(tmp_path / "b")
    assert contents(tmp_path / "b") == contents(package)


def test_the_same_package_gives_the_same_bytes(package, tmp_path):
    pack(package, tmp_path / "a.zip")
    for path in package.iterdir():
        os.utime(path, (1e9, 1e9))
        path.chmod(0o600)
    pack(package, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        times = {entry.date_time for entry in archive.infolist()}
    assert times == {(1980, 1, 1, 0, 0, 0)}


def test_the_sums_are_what_sha256sum_reads(package, tmp_path):
    pack(package, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [
            "fake-brain/SHA256SUMS",
            "fake-brain/card.json",
            "fake-brain/weights.safetensors",
        ]
        sums = archive.read("fake-brain/SHA256SUMS")
    (package / "SHA256SUMS").write_bytes(sums)
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(command, cwd=package, capture_output=True, check=False).returncode == 0


def test_only_what_the_card_lists_is_packed(package, tmp_path):
    (package / "secret.txt").write_text("patients")
    (package / ".git").mkdir()
    (package / ".git" / "config").write_text("")
    card = pack(package, tmp_path / "a.zip")
    assert b"patients" not in (tmp_path / "a.zip").read_bytes()
    assert unlisted_files(package, card) == [".git/config", "secret.txt"]


def test_a_damaged_package_is_not_packed(package, tmp_path):
    weights = package / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
    with pytest.raises(UnusableModel, match="SHA-256 is not the one on the card"):
        pack(package, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_file_that_is_there_stays(package, tmp_path):
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(UnusableFile, match="exists already"):
        pack(package, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_text() == "mine"


# ---- unpacking what is good ------------------------------------------------------------


@pytest.mark.parametrize("top", ["", "folder/"])
def test_no_folder_or_one_folder_may_be_around_the_package(package, tmp_path, top):
    entries = [(top + name, content) for name, content in contents(package).items()]
    folders = [(special(top, stat.S_IFDIR | 0o755, 0x10), b"")] if top else []
    write_zip(tmp_path / "a.zip", folders + entries, compression=zipfile.ZIP_DEFLATED)
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(package)


def test_files_in_the_folder_code_are_unpacked_there(tmp_path):
    code = b"x = 1\n"
    name = "code/net/__init__.py"
    file = {"name": name, "bytes": len(code), "sha256": hashlib.sha256(code).hexdigest()}
    values = card_values(files=[file], execution="isolated", architecture={"weights": name})
    archive = write_zip(
        tmp_path / "a.zip", [("card.json", json.dumps(values).encode()), (name, code)]
    )
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out" / "code" / "net" / "__init__.py").read_bytes() == code


def test_a_small_file_may_shrink_as_it_likes(tmp_path):
    zeros = bytes(3 * 2**20)
    package = make_package(tmp_path / "a")
    card = json.loads((package / "card.json").read_text())
    (package / "map.npy").write_bytes(zeros)
    card["files"].append(
        {"name": "map.npy", "bytes": len(zeros), "sha256": hashlib.sha256(zeros).hexdigest()}
    )
    (package / "card.json").write_text(json.dumps(card))
    zip_of(tmp_path / "a.zip", package, compression=zipfile.ZIP_DEFLATED)
    assert (tmp_path / "a.zip").stat().st_size < len(zeros) / archives.MAX_RATIO
    unpack(tmp_path / "a.zip", tmp_path / "out")
    pack(package, tmp_path / "b.zip")
    assert unpack(tmp_path / "b.zip", tmp_path / "again") == verify(tmp_path / "out")


# ---- refusing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt", "a/../../evil.txt", "/etc/evil.txt", "C:/evil.txt", "C:evil.txt",
        "..\\evil.txt", "a\\b.txt", "\\\\server\\evil.txt", "./evil.txt", "a//b.txt",
        "card.json\0.txt",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(package, tmp_path, name):
    # ZipInfo tidies names when it is made, so the hostile one is put in afterwards.
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    archive = zip_of(tmp_path / "a.zip", package, (info, b"evil"))
    assert "a name that may lead out of the package" in refusal(archive, tmp_path)


@pytest.mark.parametrize(
    ("mode", "dos"),
    [
        (stat.S_IFLNK | 0o777, 0),
        (stat.S_IFIFO, 0),
        (stat.S_IFCHR, 0),
        (stat.S_IFBLK, 0),
        (stat.S_IFSOCK, 0),
        (stat.S_IFDIR, 0),
        (0, 0x10),  # DOS: a folder
        (0, 0x400),  # DOS: a reparse point, as links are there
    ],
)
def test_links_and_special_files_are_refused(package, tmp_path, mode, dos):
    files = contents(package)
    # The right content, so that only its kind is wrong.
    weights = (special("weights.safetensors", mode, dos), files["weights.safetensors"])
    archive = write_zip(tmp_path / "a.zip", [("card.json", files["card.json"]), weights])
    assert "a link or not an ordinary file" in refusal(archive, tmp_path)


@pytest.mark.parametrize("twin", ["weights.safetensors", "WEIGHTS.safetensors", "Card.json"])
def test_a_name_that_is_there_twice_is_refused(package, tmp_path, twin):
    with pytest.warns(UserWarning, match="Duplicate") if twin.islower() else _nothing():
        archive = zip_of(tmp_path / "a.zip", package, (twin, b"x"))
    assert "more than once" in refusal(archive, tmp_path)


def test_names_that_differ_in_composition_only_are_the_same(package, tmp_path):
    archive = zip_of(tmp_path / "a.zip", package, ("\u00e9.txt", b""), ("e\u0301.txt", b""))
    assert "more than once" in refusal(archive, tmp_path)


def test_what_is_not_on_the_card_is_refused(package, tmp_path):
    archive = zip_of(tmp_path / "a.zip", package, ("install.py", b"evil"))
    assert "'install.py', which is not on its card" in refusal(archive, tmp_path)


def test_what_lies_beside_the_folder_is_refused(package, tmp_path):
    entries = [(f"top/{name}", content) for name, content in contents(package).items()]
    archive = write_zip(tmp_path / "a.zip", [*entries, ("other/x.txt", b"")])
    assert "'other/x.txt' beside the package's folder 'top/'" in refusal(archive, tmp_path)


@pytest.mark.parametrize("cards", [[], ["a/card.json", "b/card.json"], ["a/b/card.json"]])
def test_one_card_must_be_there_and_not_deep(package, tmp_path, cards):
    content = contents(package)["card.json"]
    archive = write_zip(tmp_path / "a.zip", [("w.txt", b""), *((name, content) for name in cards)])
    assert "must hold one card.json" in refusal(archive, tmp_path)


def test_a_size_that_is_not_the_cards_is_refused(package, tmp_path):
    files = contents(package)
    files["weights.safetensors"] += b"x"
    archive = write_zip(tmp_path / "a.zip", list(files.items()))
    assert "weights.safetensors has 161 bytes, its card says 160" in refusal(archive, tmp_path)


def test_a_wrong_hash_is_refused(package, tmp_path):
    files = contents(package)
    files["weights.safetensors"] = files["weights.safetensors"][:-1] + b"\7"
    archive = write_zip(tmp_path / "a.zip", list(files.items()))
    message = refusal(archive, tmp_path)
    assert message.startswith(f"{archive}: weights.safetensors: its SHA-256 is not the one on")
    assert ".medsyn-" not in message


def test_a_card_that_was_changed_after_packing_is_refused(package, tmp_path):
    pack(package, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    changed = [
        (name, content.replace(b"Knows nothing.", b"Knows a lot.  ")) for name, content in entries
    ]
    write_zip(tmp_path / "b.zip", changed)
    assert "card.json is not the file that SHA256SUMS lists" in refusal(
        tmp_path / "b.zip", tmp_path
    )


def test_a_file_that_is_missing_is_named(package, tmp_path):
    archive = write_zip(tmp_path / "a.zip", [("card.json", contents(package)["card.json"])])
    assert "weights.safetensors: is missing" in refusal(archive, tmp_path)


def test_an_encrypted_file_is_refused(package, tmp_path):
    archive = zip_of(tmp_path / "a.zip", package)
    _patch(archive, lambda info: info.header_offset + 6, struct.pack("<H", 1))
    _patch_directory(archive, 8, struct.pack("<H", 1))
    assert "which is encrypted" in refusal(archive, tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(package, tmp_path, method):
    archive = zip_of(tmp_path / "a.zip", package, compression=method)
    assert "compressed in an unusual way" in refusal(archive, tmp_path)


# ---- refusing bombs --------------------------------------------------------------------


def card_for(package: Path, size: int) -> bytes:
    """The card of a package whose weights have `size` bytes, it says."""
    card = json.loads((package / "card.json").read_text())
    card["files"][0]["bytes"] = size
    return json.dumps(card).encode()


def test_a_bomb_is_refused_before_it_goes_off(package, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FREE_RATIO_BYTES", 2**16)
    monkeypatch.setattr(archives, "_write", _must_not)
    size = 2**20
    entries = [("card.json", card_for(package, size)), ("weights.safetensors", bytes(size))]
    archive = write_zip(tmp_path / "a.zip", entries, compression=zipfile.ZIP_DEFLATED)
    assert "which no real package does" in refusal(archive, tmp_path)


def test_a_bomb_that_understates_its_size_stops_at_what_it_says(package, tmp_path):
    """The directory says 160 bytes, as the card does; the stream holds a megabyte."""
    size = (package / "weights.safetensors").stat().st_size
    content = contents(package)["weights.safetensors"] + bytes(2**20)
    entries = [("card.json", contents(package)["card.json"]), ("weights.safetensors", content)]
    archive = write_zip(tmp_path / "a.zip", entries, compression=zipfile.ZIP_DEFLATED)
    _patch(archive, lambda info: info.header_offset + 22, struct.pack("<I", size))
    _patch_directory(archive, 24, struct.pack("<I", size))
    assert "is damaged, or not a zip (Bad CRC-32" in refusal(archive, tmp_path)


def test_more_than_an_archive_may_hold_is_refused(package, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 1000)
    archive = zip_of(tmp_path / "a.zip", package)
    assert "bytes, more than 1000" in refusal(archive, tmp_path)


def test_more_than_there_is_room_for_is_refused(package, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_free_bytes", lambda _folder: 100)
    archive = zip_of(tmp_path / "a.zip", package)
    assert "needs 160 bytes, but only 100 are free" in refusal(archive, tmp_path)


def test_files_that_overlap_are_refused(package, tmp_path):
    """Fifield 2019, "A better zip bomb": entries that share their compressed bytes."""
    archive = zip_of(tmp_path / "a.zip", package)
    size = archive.stat().st_size
    _patch_directory(archive, 20, struct.pack("<I", size))
    assert "its files overlap" in refusal(archive, tmp_path)


def test_too_many_files_are_refused(package, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    archive = zip_of(tmp_path / "a.zip", package, ("a.txt", b""), ("b.txt", b""))
    assert "holds more than 3 files" in refusal(archive, tmp_path)


def test_a_huge_directory_is_not_read_into_memory(package, tmp_path):
    names = [(special(f"{n}.txt"), b"") for n in range(20)]
    for padded, _ in names:
        padded.comment = b"x" * 60_000
    archive = write_zip(tmp_path / "a.zip", names)
    assert archive.stat().st_size > MAX_DIRECTORY_BYTES
    assert "its directory takes" in refusal(archive, tmp_path)


def test_an_oversized_card_is_refused(package, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_CARD_BYTES", 100)
    archive = zip_of(tmp_path / "a.zip", package)
    assert "card.json is larger than 100 bytes" in refusal(archive, tmp_path)


# ---- refusing what is damaged ----------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 10, 200, -1])
def test_a_truncated_archive_is_refused(package, tmp_path, kept):
    archive = zip_of(tmp_path / "a.zip", package)
    archive.write_bytes(archive.read_bytes()[:kept])
    assert "is damaged, or not a zip" in refusal(archive, tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_changed_byte_is_refused(package, tmp_path, method):
    archive = zip_of(tmp_path / "a.zip", package, compression=method)
    with zipfile.ZipFile(archive) as opened:
        begin = (
            opened.getinfo("weights.safetensors").header_offset + 30 + len("weights.safetensors")
        )
    content = bytearray(archive.read_bytes())
    content[begin + 40] ^= 0xFF
    archive.write_bytes(content)
    assert "is damaged, or not a zip" in refusal(archive, tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04pickle"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    assert "is damaged, or not a zip" in refusal(tmp_path / "a.zip", tmp_path)


def test_an_archive_that_is_not_there_is_refused(tmp_path):
    assert "cannot be unpacked (No such file" in refusal(tmp_path / "a.zip", tmp_path)


def test_what_is_in_the_way_stays(package, tmp_path):
    archive = zip_of(tmp_path / "a.zip", package)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    before = listing(tmp_path)
    with pytest.raises(UnusableFile, match="is not empty"):
        unpack(archive, tmp_path / "out")
    assert listing(tmp_path) == before


# ---- helpers ---------------------------------------------------------------------------


def _must_not(*_args: Any) -> None:
    raise AssertionError("something was unpacked")


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _patch(archive: Path, where: Callable[[zipfile.ZipInfo], int], value: bytes) -> None:
    """Overwrite bytes of the last entry's local header."""
    with zipfile.ZipFile(archive) as opened:
        position = where(opened.infolist()[-1])
    content = bytearray(archive.read_bytes())
    content[position : position + len(value)] = value
    archive.write_bytes(content)


def _patch_directory(archive: Path, offset: int, value: bytes) -> None:
    """Overwrite bytes of the last entry of the central directory (APPNOTE 4.3.12)."""
    content = bytearray(archive.read_bytes())
    position = content.rindex(b"PK\x01\x02") + offset
    content[position : position + len(value)] = value
    archive.write_bytes(content)
