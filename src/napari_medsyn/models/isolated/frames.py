"""What this process and a package's process say to each other: JSON and raw numbers.

A frame is the length of its header (4 bytes, big endian), the header (JSON), and the
bytes of the arrays that the header lists, one after the other.  Nothing is ever
unpickled, and the reader refuses a frame that is larger, or of other types, than it can
be: whoever wrote it is not trusted.  Also runs on the other side, on an older Python.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

#: Bytes of a header; more is no message of ours.
MAX_HEADER = 2**20

#: Bytes of all arrays of a frame: eight pictures of 4096 x 4096 float32.
MAX_ARRAYS = 2**29

#: The types of numbers that are exchanged, as numpy writes them.
DTYPES = ("|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<i8", "<f2", "<f4", "<f8")

MAX_DIMENSIONS = 6

Frame = tuple[dict[str, Any], dict[str, Any]]


class BadFrame(Exception):
    """What came is not a frame."""


def write_frame(stream: BinaryIO, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write one frame and flush it.

    Parameters
    ----------
    stream : binary.
    header : JSON values.
    arrays : name to array of one of `DTYPES`.

    Raises
    ------
    BadFrame : it is larger, or of other types, than the other side takes.
    """
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    listed = [[name, array.dtype.str, list(array.shape)] for name, array in plain.items()]
    text = json.dumps({"header": dict(header), "arrays": listed}).encode()
    if len(text) > MAX_HEADER:
        raise BadFrame(f"a header of {len(text)} bytes")
    _check_arrays(listed)
    stream.write(len(text).to_bytes(4, "big") + text)
    for array in plain.values():
        stream.write(array.tobytes())
    stream.flush()


def read_frame(stream: BinaryIO) -> Frame:
    """Read one frame: header and arrays.

    Raises
    ------
    EOFError : the other side has closed.
    BadFrame : what came is not a frame.
    """
    length = int.from_bytes(_exactly(stream, 4), "big")
    if length > MAX_HEADER:
        raise BadFrame(f"a header of {length} bytes")
    try:
        value = json.loads(_exactly(stream, length).decode("utf-8"))
        header, listed = value["header"], value["arrays"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadFrame("a header that is not ours") from error
    if not isinstance(header, dict) or not isinstance(listed, list):
        raise BadFrame("a header that is not ours")
    sizes = _check_arrays(listed)
    arrays = {}
    for (name, dtype, shape), size in zip(listed, sizes):  # noqa: B905 - Python 3.9
        arrays[name] = np.frombuffer(_exactly(stream, size), np.dtype(dtype)).reshape(shape)
    return header, arrays


def _check_arrays(listed: Any) -> list[int]:
    """Bytes of each array, when all of them may be exchanged."""
    sizes = []
    for entry in listed:
        if not isinstance(entry, list) or len(entry) != 3:
            raise BadFrame("an array without name, type and shape")
        name, dtype, shape = entry
        if not isinstance(name, str) or dtype not in DTYPES:
            raise BadFrame(f"an array of type {dtype!r}")
        if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
            raise BadFrame("an array of too many dimensions")
        if any(type(n) is not int or n < 0 for n in shape):
            raise BadFrame(f"an array of shape {shape!r}")
        sizes.append(np.dtype(dtype).itemsize * math.prod(shape))
    if sum(sizes) > MAX_ARRAYS:
        raise BadFrame(f"arrays of {sum(sizes)} bytes")
    return sizes


def _exactly(stream: BinaryIO, count: int) -> bytes:
    """`count` bytes, however many reads that takes."""
    parts = []
    while count:
        part = stream.read(count)
        if not part:
            raise EOFError("the other side has closed")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
