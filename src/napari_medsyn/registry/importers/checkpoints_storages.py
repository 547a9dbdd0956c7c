"""The numbers of a checkpoint's tensors: storages, and tensors as views of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.registry.importers.pickled_nodes import Global, StrangePickle

ByteOrder = Literal["little", "big"]

#: Type of a tensor's numbers, as torch calls it, to numpy's; bfloat16 has none there.
DTYPES: Final[Mapping[str, str]] = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1", "uint8": "u1", "bool": "?",
    "complex64": "c8", "complex128": "c16", "uint16": "u2", "uint32": "u4", "uint64": "u8",
}  # fmt: skip
#: Storage classes of the module `torch` to the type of their numbers.
STORAGES: Final[Mapping[str, str]] = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "UntypedStorage": "uint8",
}  # fmt: skip
_LONGEST_KEY: Final = 100
_MAX_AXES: Final = 16
#: Product of the axes that are not 0; numpy refuses some shapes beyond.
_LARGEST_EMPTY: Final = 2**40


@dataclass(frozen=True, slots=True)
class StorageId:
    """Which storage a tensor looks into, and what it says of it.

    Parameters
    ----------
    key : its name within the file.
    dtype : key of `DTYPES`.
    count : how many numbers it has.
    view : first number and count of the part that is meant, where it is only a part.
    """

    key: str
    dtype: str
    count: int
    view: tuple[int, int] | None = None

    @property
    def bytes(self) -> int:
        """Size of the whole storage."""
        return self.count * np.dtype(DTYPES[self.dtype]).itemsize

    @classmethod
    def of(cls, value: Any) -> StorageId:
        """From a persistent id, ("storage", class, key, location, count[, view]).

        Raises
        ------
        StrangePickle : it is none of a tensor's storage, or one of a kind not known here.
        """
        if not isinstance(value, tuple) or len(value) not in (5, 6) or value[0] != "storage":
            raise StrangePickle("it refers to something outside that is no tensor's storage")
        _, kind, key, _, count = value[:5]
        if not isinstance(kind, Global) or kind.module not in ("torch", "torch.storage"):
            raise StrangePickle("a storage in it does not say what kind of numbers it holds")
        if kind.name not in STORAGES:
            raise StrangePickle(f"it holds a {kind}, a kind of numbers that is not read here")
        if not isinstance(key, str) or len(key) > _LONGEST_KEY or not is_count(count):
            raise StrangePickle("a storage in it has no name or no size")
        return cls(key, STORAGES[kind.name], count, _view(value[5] if len(value) == 6 else None))


def _view(value: Any) -> tuple[int, int] | None:
    """The part of a storage: None, or (key, first, count)."""
    if value is None:
        return None
    if isinstance(value, tuple) and len(value) == 3 and all(map(is_count, value[1:])):
        return value[1], value[2]
    raise StrangePickle("a part of a storage in it does not say where it begins and ends")


def is_count(value: Any) -> bool:
    """Whether `value` can be a size or an offset."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**48


def storage_values(wanted: StorageId, content: bytes, order: ByteOrder) -> NDArray[Any]:
    """The numbers of a storage, (n,), read-only; bfloat16 becomes float32, exactly.

    Raises
    ------
    StrangePickle : the content has another size than the id says, or the part leaves it.
    """
    if len(content) != wanted.bytes:
        raise StrangePickle(
            f"storage {wanted.key!r} has {len(content)} bytes where {wanted.bytes} are claimed"
        )
    kind = np.dtype(DTYPES[wanted.dtype]).newbyteorder("<" if order == "little" else ">")
    values = np.frombuffer(content, kind).astype(kind.newbyteorder("="), copy=False)
    if wanted.dtype == "bfloat16":
        # The upper half of a float32.
        values = (values.astype(np.uint32) << 16).view(np.float32)
    if wanted.view is not None:
        first, count = wanted.view
        if first + count > wanted.count:
            raise StrangePickle(f"a part of storage {wanted.key!r} lies beyond its end")
        values = values[first : first + count]
    values.setflags(write=False)
    return values


def tensor(values: NDArray[Any], offset: Any, shape: Any, strides: Any) -> NDArray[Any]:
    """A tensor as a read-only view of its storage's numbers.

    Parameters
    ----------
    values : (n,) of the storage.
    offset, shape, strides : counted in numbers, as the file claims.

    Raises
    ------
    StrangePickle : they lead out of the storage, or name numbers more often than it has
        any (a small file could claim a tensor of any size so).
    """
    for counts in (shape, strides):
        if not isinstance(counts, tuple) or not all(map(is_count, counts)):
            raise StrangePickle("a tensor in it has a shape or strides that are no counts")
    if not is_count(offset) or len(shape) != len(strides) or len(shape) > _MAX_AXES:
        raise StrangePickle("a tensor in it has an impossible offset or number of axes")
    count = math.prod(shape)
    if count == 0:
        if math.prod(n for n in shape if n) > _LARGEST_EMPTY:
            raise StrangePickle("an empty tensor in it claims an impossible shape")
        return np.empty(shape, values.dtype)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if last >= len(values) or count > len(values):
        raise StrangePickle(
            f"a tensor of {count} numbers up to place {last} lies beyond its storage of "
            f"{len(values)}"
        )
    steps = [step * values.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(values[offset:], shape, steps, writeable=False)
