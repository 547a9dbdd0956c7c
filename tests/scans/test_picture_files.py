"""PNG files: exact pixels, marks, refusals.  Chunks are read here by hand."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.picture_files import grey, marks_of, read_picture, write_picture

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def chunks(path: Path) -> list[tuple[bytes, bytes]]:
    """Type and content of every chunk, checksums compared (PNG, section 5.3)."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        body = content[at + 4 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", content, at + 8 + length)
        assert zlib.crc32(body) == crc
        found.append((body[:4], body[4:]))
        at += 12 + length
    return found


def texts(path: Path) -> dict[str, str]:
    pairs = [data.split(b"\0", 1) for kind, data in chunks(path) if kind == b"tEXt"]
    return {name.decode("latin-1"): text.decode("latin-1") for name, text in pairs}


def png(width: int, height: int, bits: int, colour: int, data: bytes = b"") -> bytes:
    """A PNG file made by hand, whatever sense it makes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("bits", "expected"),
    [(8, [0, 0, 51, 128, 255, 255, 0]), (16, [0, 0, 13107, 32768, 65535, 65535, 0])],
)
def test_grey_values_by_hand(bits, expected):
    # 0.5 is 127.5 or 32767.5, and goes to the even neighbour.
    image = np.array([[-1, 0, 0.2, 0.5, 1, 7, np.nan]], np.float32)
    values = grey(image, bits)
    assert values.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert values.tolist() == [expected]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_pixels_come_back_as_they_were(tmp_path, kind):
    pixels = np.arange(15, dtype=kind).reshape(3, 5) * (17 if kind is np.uint8 else 4369)
    path = write_picture(tmp_path / "a.png", pixels, {})
    read = read_picture(path)
    assert read.pixels.dtype == kind
    np.testing.assert_array_equal(read.pixels, pixels)
    head = dict(chunks(path))[b"IHDR"]
    # Width, height, bits, and colour type 0: grey.
    assert struct.unpack(">IIBB", head[:10]) == (5, 3, 8 * np.dtype(kind).itemsize, 0)


def test_row_0_is_on_top(tmp_path):
    path = write_picture(tmp_path / "a.png", np.array([[255], [0]], np.uint8), {})
    rows = zlib.decompress(dict(chunks(path))[b"IDAT"])
    assert rows[1] == 255  # after the byte that says how the row is filtered


def test_the_marks_stand_in_text_chunks(tmp_path):
    provenance = {
        "SYNTHETIC": True,
        "purpose": "Research use; not for diagnosis",
        "model": "painter",
        "weights_sha256": "ab" * 32,
        "seed": 7,
        "controls": {"brightness": 0.5},
        "software": {"torch": "2.13"},
    }
    path = write_picture(tmp_path / "a.png", RAMP, marks_of(provenance, "MG"))
    found = texts(path)
    assert found["SYNTHETIC"] == "true"
    assert found["Disclaimer"] == found["purpose"] == "Research use; not for diagnosis"
    assert found["model"] == "painter"
    assert found["weights_sha256"] == "ab" * 32
    assert found["seed"] == "7"
    assert found["controls"] == '{"brightness": 0.5}'
    assert found["software"] == '{"torch": "2.13"}'
    read = read_picture(path)
    assert read.is_synthetic
    assert read.marks["Description"].startswith("SYNTHETIC MG")
    np.testing.assert_array_equal(read.pixels, RAMP)  # nothing is burnt in


def test_a_picture_without_the_mark_is_not_synthetic(tmp_path):
    assert not read_picture(write_picture(tmp_path / "a.png", RAMP, {})).is_synthetic


def test_texts_in_other_letters_come_back(tmp_path):
    path = write_picture(tmp_path / "a.png", RAMP, {"note": "σ = 0,5 · größer"})
    assert read_picture(path).marks["note"] == "σ = 0,5 · größer"


def test_the_same_picture_gives_the_same_bytes(tmp_path):
    one = write_picture(tmp_path / "a.png", RAMP, {"seed": "1"}).read_bytes()
    assert write_picture(tmp_path / "b.png", RAMP, {"seed": "1"}).read_bytes() == one


def test_an_existing_file_stays_unless_it_is_said(tmp_path):
    path = write_picture(tmp_path / "a.png", RAMP, {})
    with pytest.raises(UnusableFile, match="exists already"):
        write_picture(path, RAMP[:1], {})
    np.testing.assert_array_equal(read_picture(path).pixels, RAMP)
    write_picture(path, RAMP[:1], {}, overwrite=True)
    np.testing.assert_array_equal(read_picture(path).pixels, RAMP[:1])


@pytest.mark.parametrize("pixels", [RAMP.astype(np.float32), RAMP[0], RAMP[..., None]])
def test_what_is_no_grey_picture_is_not_written(tmp_path, pixels):
    with pytest.raises(ValueError, match="must be"):
        write_picture(tmp_path / "a.png", pixels, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "x" * 80, "größe"])
def test_a_name_that_no_chunk_can_have_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="cannot name a text chunk"):
        write_picture(tmp_path / "a.png", RAMP, {name: "1"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no PNG file"),
        (b"GIF89a" + bytes(40), "no PNG file"),
        (png(2, 1, 8, 2, bytes(7)), "not a grey picture"),
        (png(9000, 1, 8, 0), "larger than 8192 pixels"),
        (png(1 << 20, 1 << 20, 8, 0), "larger than 8192 pixels"),
        (png(50, 50, 8, 0, bytes(10)), "damaged or cut short"),
    ],
    ids=["empty", "gif", "colour", "wide", "bomb", "short"],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UnusableFile, match=message):
        read_picture(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = write_picture(tmp_path / "a.png", RAMP, {"seed": "1"})
    content = path.read_bytes()
    for length in (20, 50, len(content) - 30):
        path.write_bytes(content[:length])
        with pytest.raises(UnusableFile):
            read_picture(path)


def test_a_text_that_unpacks_to_too_much_is_refused(tmp_path):
    body = b"note\0\0" + zlib.compress(bytes(80 << 20))
    chunk = (
        struct.pack(">I", len(body))
        + b"zTXt"
        + body
        + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    )
    content = png(1, 1, 8, 0, bytes(2))
    path = tmp_path / "a.png"
    path.write_bytes(content[:33] + chunk + content[33:])
    with pytest.raises(UnusableFile, match="damaged"):
        read_picture(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UnusableFile, match="No such file"):
        read_picture(tmp_path / "none.png")
