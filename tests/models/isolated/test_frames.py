"""Frames: what goes in comes out, and what is no frame is refused."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from napari_medsyn.models.isolated.frames import BadFrame, read_frame, write_frame


def framed(text: bytes, rest: bytes = b"") -> io.BytesIO:
    return io.BytesIO(len(text).to_bytes(4, "big") + text + rest)


def header(*arrays: object) -> bytes:
    return json.dumps({"header": {}, "arrays": list(arrays)}).encode()


@pytest.mark.parametrize("dtype", ["bool", "u1", "<i4", "<f4", "<f8"])
def test_what_goes_in_comes_out(dtype: str) -> None:
    stream = io.BytesIO()
    # Not contiguous, and empty: both have tripped people up.
    array = np.arange(24).reshape(2, 3, 4).astype(dtype).transpose(2, 0, 1)
    write_frame(stream, {"a": [1, None, "ü"]}, {"x": array, "y": np.zeros((0, 3), "f4")})
    write_frame(stream, {"b": 2}, {})
    stream.seek(0)

    told, arrays = read_frame(stream)

    assert told == {"a": [1, None, "ü"]}
    np.testing.assert_array_equal(arrays["x"], array)
    assert arrays["x"].dtype == array.dtype
    assert arrays["y"].shape == (0, 3)
    assert read_frame(stream)[0] == {"b": 2}
    with pytest.raises(EOFError):
        read_frame(stream)


@pytest.mark.parametrize(
    "text",
    [
        b"not json",
        b"\xff\xfe",
        b"[1]",
        b'{"header": {}}',
        b'{"header": [], "arrays": []}',
        b'{"header": {}, "arrays": 3}',
        b"[" * 100_000,
        header(3),
        header(["x", "|u1"]),
        header(["x", "|O", [1]]),
        header(["x", "<U4", [1]]),
        header(["x", ["|u1"], [1]]),
        header([3, "|u1", [1]]),
        header(["x", "|u1", [-1]]),
        header(["x", "|u1", [1.5]]),
        header(["x", "|u1", [True]]),
        header(["x", "|u1", [1] * 7]),
        header(["x", "<f8", [2**40]]),
        header(*[["x", "|u1", [2**28]]] * 3),
    ],
)
def test_what_is_no_frame_is_refused_before_it_is_read(text: bytes) -> None:
    with pytest.raises(BadFrame):
        read_frame(framed(text))


def test_a_huge_header_is_refused_unread() -> None:
    with pytest.raises(BadFrame, match="4294967295 bytes"):
        read_frame(io.BytesIO(b"\xff" * 4))


def test_an_array_cut_short_is_an_end() -> None:
    with pytest.raises(EOFError):
        read_frame(framed(header(["x", "|u1", [4]]), b"abc"))


def test_what_the_other_side_would_refuse_is_not_sent() -> None:
    stream = io.BytesIO()
    with pytest.raises(BadFrame):
        write_frame(stream, {}, {"x": np.array(["text"])})
    assert stream.getvalue() == b""
