"""Packages as one file: a zip that is the same whenever it is packed, and unpacked with care.

A zip from somebody else may try to write elsewhere, to fill the disk or the memory, or to
bring what the card does not list.  Everything that its directory declares is checked before
a byte is unpacked; what comes out is counted and compared with the card's hashes; and the
folder appears only when all of it is right.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.registry.building import refuse_occupied
from napari_medsyn.registry.card import CARD_NAME, MAX_CARD_BYTES, ModelCard, parse_card
from napari_medsyn.registry.packages import seal_command, sha256_of, verify
from napari_medsyn.scans.atomic import whole_file

#: Lists the hashes of all other files of an archive, as `sha256sum --check` reads them.
SUMS_NAME: Final = "SHA256SUMS"

#: The directory of an archive is read into memory as a whole: this is some 10,000 files.
MAX_DIRECTORY_BYTES: Final = 2**20
MAX_ENTRIES: Final = 2000
MAX_TOTAL_BYTES: Final = 64 * 2**30

#: Weights hardly shrink.  Small archives may shrink as they like: a label map does.
MAX_RATIO: Final = 100
FREE_RATIO_BYTES: Final = 64 * 2**20

#: For a package in a zip, what is `medsyn models seal` for one in a folder.
_SEAL_AND_PACK: Final = "`medsyn models seal` on its folder, then `medsyn models pack`"

_CHUNK: Final = 2**20
#: The earliest time that a zip can hold.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
#: Bits of an entry's flags: encrypted, and strongly so.
_ENCRYPTED: Final = 0x1 | 0x40
#: DOS attributes of what is not a plain file: volume, folder, device, link.
_NOT_PLAIN: Final = 0x8 | 0x10 | 0x40 | 0x400


def pack(folder: Path, out: Path) -> ModelCard:
    """Pack a package into a zip: its card, the files that the card lists and their hashes.

    The same package gives the same bytes: names are sorted, times fixed, nothing is
    compressed (weights do not shrink, and compressors differ).

    Parameters
    ----------
    folder : of the package; what its card does not list is left out.
    out : the new `.zip`.

    Returns
    -------
    The package's card.

    Raises
    ------
    UnusableModel : the package is not as its card says.
    UnusableFile : `out` exists, or cannot be written.
    """
    card = verify(folder)
    names = sorted([CARD_NAME, *(file.name for file in card.files)])
    sums = "".join(f"{sha256_of(folder / name)}  {name}\n" for name in names)
    with whole_file(out) as draft, zipfile.ZipFile(draft, "w") as archive:
        archive.writestr(_header(f"{card.id}/{SUMS_NAME}"), sums)
        for name in names:
            with (
                (folder / name).open("rb") as source,
                archive.open(_header(f"{card.id}/{name}"), "w", force_zip64=True) as target,
            ):
                shutil.copyfileobj(source, target, _CHUNK)
    return card


def unlisted_files(folder: Path, card: ModelCard) -> list[str]:
    """Files of a package's folder that its card does not list, and that are so not packed."""
    listed = {CARD_NAME, *(file.name for file in card.files)}
    there = (path for path in folder.rglob("*") if path.is_file())
    return sorted({path.relative_to(folder).as_posix() for path in there} - listed)


def unpack(archive: Path, folder: Path) -> ModelCard:
    """Unpack a zip into a new folder, whole or not at all.

    Parameters
    ----------
    archive : the zip, as `pack` makes it; the package may lie in one folder within.
    folder : of the package; it must not exist, or be empty.

    Raises
    ------
    UnusableFile : the zip is not one of a package, is damaged, or tries something that
        packages do not do; or `folder` holds something or cannot be written.
    UnusableModel : what was packed is not as its card says.
    """
    refuse_occupied(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".medsyn-", dir=folder.parent) as place:
            draft = Path(place) / "package"
            with told_of(archive, draft):
                extract(archive, draft)
                card = verify(draft)
            if folder.is_dir():
                folder.rmdir()
            os.replace(draft, folder)
            return card
    except OSError as error:
        raise UnusableFile(folder, f"cannot be written to ({error.strerror})") from error


def extract(archive: Path, folder: Path) -> ModelCard:
    """Write what a zip holds of a package into `folder`; files may be missing still.

    The folder is the caller's: it is to be thrown away if anything is raised, and to be
    checked by `packages.verify` before it is used.

    Raises
    ------
    UnusableFile : the zip is refused; says why.
    UnusableModel : its card does not validate.
    """
    try:
        with archive.open("rb") as stream, zipfile.ZipFile(_Sparing(stream)) as opened:
            entries = _plain_entries(archive, opened.infolist())
            card = _card(archive, opened, entries)
            _refuse_strangers(archive, entries, card)
            _refuse_bombs(archive, entries, card, _free_bytes(folder.parent))
            folder.mkdir()
            for name, entry in entries.items():
                if name != SUMS_NAME:
                    _write(opened, entry, folder / name)
            _compare_sums(archive, opened, entries, folder)
            return card
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        reason = f"is damaged, or not a zip ({error}); get it again"
        raise UnusableFile(archive, reason) from error
    except OSError as error:
        raise UnusableFile(archive, f"cannot be unpacked ({error.strerror or error})") from error


@contextmanager
def told_of(source: Path, draft: Path) -> Iterator[None]:
    """Let errors about a draft name what the user gave: the draft is gone when they are read.

    Parameters
    ----------
    source : a package as a folder, a zip or a card alone.
    draft : the folder that is made of it.
    """
    try:
        yield
    except UnusableFile as error:
        if not error.path.is_relative_to(draft):
            raise
        raise UnusableFile(source, _in_words_of(source, draft, error.reason)) from error
    except UnusableModel as error:
        raise UnusableModel(_in_words_of(source, draft, str(error))) from error


def _in_words_of(source: Path, draft: Path, sentence: str) -> str:
    """A sentence about the draft as one about `source`, in which files of the draft lie."""
    command = seal_command(draft)
    if source.is_dir():
        sentence = sentence.replace(command, seal_command(source))
        return sentence.replace(str(draft), str(source))
    sentence = sentence.replace(f"`{command}`", _SEAL_AND_PACK)
    if source.suffix.lower() == ".json":
        sentence = sentence.replace(str(draft / CARD_NAME), str(source))
    return sentence.replace(f"{draft}{os.sep}", f"{source}: ").replace(str(draft), str(source))


class _Sparing(io.RawIOBase):
    """A file that is never read in large pieces, so that no directory of a zip fills memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """At most `MAX_DIRECTORY_BYTES`, else BadZipFile."""
        limit = MAX_DIRECTORY_BYTES + 1
        content = self._stream.read(min(size, limit) if size >= 0 else limit)
        if len(content) == limit:
            raise zipfile.BadZipFile(f"its directory takes more than {MAX_DIRECTORY_BYTES} bytes")
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of the file."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """As of the file."""
        return self._stream.tell()

    def seekable(self) -> bool:
        """Files are."""
        return True


def _header(name: str) -> zipfile.ZipInfo:
    header = zipfile.ZipInfo(name, _EPOCH)
    header.create_system = 3
    header.external_attr = (stat.S_IFREG | 0o644) << 16
    return header


def _plain_entries(archive: Path, infos: Sequence[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The files of a zip by their names within the package; refuses what no package has."""
    if len(infos) > MAX_ENTRIES:
        raise UnusableFile(archive, f"holds more than {MAX_ENTRIES} files, so not a package")
    seen: set[str] = set()
    for info in infos:
        _refuse_entry(archive, info)
        # Some file systems take names as the same that differ in case or in composition.
        folded = unicodedata.normalize("NFC", info.orig_filename.rstrip("/")).casefold()
        if folded in seen:
            raise UnusableFile(archive, f"holds {info.orig_filename!r} more than once")
        seen.add(folded)
    cards = [i.filename for i in infos if i.filename.split("/")[-1] == CARD_NAME]
    top = cards[0].removesuffix(CARD_NAME) if cards else ""
    if len(cards) != 1 or top.count("/") > 1:
        raise UnusableFile(archive, f"must hold one {CARD_NAME}, at its top or in one folder")
    files = [info for info in infos if not info.is_dir()]
    outside = [info.filename for info in files if not info.filename.startswith(top)]
    if outside:
        raise UnusableFile(archive, f"holds {outside[0]!r} beside the package's folder {top!r}")
    return {info.filename.removeprefix(top): info for info in files}


def _refuse_entry(archive: Path, info: zipfile.ZipInfo) -> None:
    """Refuse a name that leads elsewhere, a link, a device, and what is encrypted."""
    # `filename` has been tidied by Python; `orig_filename` is what the archive says.
    name = info.orig_filename
    steps = name.removesuffix("/").split("/")
    if any(step in ("", ".", "..") for step in steps) or any(c in name for c in "\\:\0"):
        raise UnusableFile(archive, f"holds {name!r}, a name that may lead out of the package")
    kind = stat.S_IFMT(info.external_attr >> 16)
    plain = stat.S_IFDIR if info.is_dir() else stat.S_IFREG
    if kind not in (0, plain) or (not info.is_dir() and info.external_attr & _NOT_PLAIN):
        raise UnusableFile(archive, f"holds {name!r}, a link or not an ordinary file")
    if info.flag_bits & _ENCRYPTED:
        raise UnusableFile(archive, f"holds {name!r}, which is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnusableFile(archive, f"holds {name!r}, which is compressed in an unusual way")


def _card(archive: Path, opened: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> ModelCard:
    entry = entries[CARD_NAME]
    if entry.file_size > MAX_CARD_BYTES:
        raise UnusableFile(archive, f"{CARD_NAME} is larger than {MAX_CARD_BYTES} bytes")
    try:
        text = _content(opened, entry).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnusableFile(archive, f"{CARD_NAME} is not UTF-8 text") from error
    return parse_card(text, f"{archive}: {CARD_NAME}")


def _refuse_strangers(archive: Path, entries: dict[str, zipfile.ZipInfo], card: ModelCard) -> None:
    """Refuse what the card does not list, and sizes that are not the card's."""
    sizes = {file.name: file.bytes for file in card.files}
    for name, entry in entries.items():
        if name in (CARD_NAME, SUMS_NAME):
            continue
        if name not in sizes:
            raise UnusableFile(archive, f"holds {name!r}, which is not on its card")
        if entry.file_size != sizes[name]:
            raise UnusableFile(
                archive, f"{name} has {entry.file_size} bytes, its card says {sizes[name]}"
            )


def _refuse_bombs(
    archive: Path, entries: dict[str, zipfile.ZipInfo], card: ModelCard, free: int
) -> None:
    """Refuse what would unpack to far more than it is, or than there is room for."""
    packed = sum(entry.compress_size for entry in entries.values())
    total = sum(entry.file_size for entry in entries.values())
    size = archive.stat().st_size
    if packed > size:
        raise UnusableFile(archive, "claims to hold more than it does: its files overlap")
    if entries.get(SUMS_NAME) and entries[SUMS_NAME].file_size > MAX_CARD_BYTES:
        raise UnusableFile(archive, f"{SUMS_NAME} is larger than {MAX_CARD_BYTES} bytes")
    if total > MAX_TOTAL_BYTES:
        raise UnusableFile(archive, f"would unpack to {total} bytes, more than {MAX_TOTAL_BYTES}")
    if total > max(FREE_RATIO_BYTES, MAX_RATIO * size):
        raise UnusableFile(
            archive, f"would unpack to {total} bytes from {size}, which no real package does"
        )
    needed = sum(file.bytes for file in card.files)
    if needed > free:
        raise UnusableFile(archive, f"needs {needed} bytes, but only {free} are free on the disk")


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Write one file, never more of it than the directory declares."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with opened.open(entry) as source, path.open("xb") as target:
        while piece := source.read(_CHUNK):
            left -= len(piece)
            if left < 0:
                raise zipfile.BadZipFile(f"{entry.filename} is longer than it says")
            target.write(piece)
    if left:
        raise zipfile.BadZipFile(f"{entry.filename} is shorter than it says")


def _content(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """A small file as a whole, in pieces that `_Sparing` gives."""
    with opened.open(entry) as source:
        return b"".join(iter(lambda: source.read(_CHUNK), b""))


def _compare_sums(
    archive: Path, opened: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], folder: Path
) -> None:
    """Compare `SHA256SUMS`, if there is one: it is the only hash over the card."""
    if SUMS_NAME not in entries:
        return
    lines = _content(opened, entries[SUMS_NAME]).decode("utf-8", errors="replace").splitlines()
    listed = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
    for name in entries:
        if name != SUMS_NAME and listed.get(name) != sha256_of(folder / name):
            raise UnusableFile(
                archive, f"{name} is not the file that {SUMS_NAME} lists; get it again"
            )
