"""Volumes in few bytes without loss: each voxel foretold from its neighbours, errors kept.

A volume is sent from coarse to fine.  Between the voxels of a lattice that are known lie
those of the next finer one; each is foretold by a linear combination of known neighbours,
fitted to the volume by least squares, and what is sent is the difference.  All of a pass
is done at once, which is what makes it fast enough in numpy.
Everything that the decoder repeats is exact in double precision, so that the same bytes
are the same voxels on every machine.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

#: Parities of the voxels between a lattice's, in the order they are sent.
BETWEEN = ((1, 1, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1))
#: Steps between the voxels of the lattices, the coarsest first.
STEPS = (8, 4, 2, 1)
#: How far a neighbour may be: steps along an axis, and in sum.
REACH, FARTHEST = 2, 4
#: Weights are sent as integers; this is what 1 is sent as.
ONE = 1 << 12
#: So that `foretold` stays exact: |value| × Σ|weight| must be far below 2**53.
LARGEST_VALUE = 1 << 15
#: Voxels for each weight from which on weights are fitted; else all neighbours count the same.
LEAST_VOXELS = 10
#: LZMA for bytes that are values of their own, in no groups of four.
FILTER = {"id": lzma.FILTER_LZMA2, "preset": 6, "pb": 0}
PADDING = STEPS[0] * (REACH + 1)
HEADER = struct.Struct("<II")

Offset = tuple[int, int, int]
Floats = NDArray[np.float64]


class Damaged(ValueError):
    """Bytes that were not made by the encoder of this module."""


def encode(volume: NDArray[np.integer], mask: NDArray[np.bool_]) -> bytes:
    """The voxels of `volume` in `mask`, to be read by `decode` with the same mask.

    Parameters
    ----------
    volume : (X, Y, Z) integers, 0 to 32767.
    mask : (X, Y, Z) bool, the voxels to keep; the others become 0.

    Raises
    ------
    ValueError
        A voxel is negative or too large.
    """
    box = _box(mask)
    mask = mask[box]
    kept = np.where(mask, volume[box], 0).astype(np.float64)
    if kept.min(initial=0) < 0 or kept.max(initial=0) >= LARGEST_VALUE:
        raise ValueError(f"voxels must be 0 to {LARGEST_VALUE - 1}")
    values, inside = np.pad(kept, PADDING), np.pad(mask, PADDING)
    errors = [kept[_first()][mask[_first()]]]
    weights = []
    for step, parity in _passes():
        chosen = inside[_window(step, parity, mask.shape)]
        wanted = values[_window(step, parity, mask.shape)][chosen]
        known = _known(values, step, parity, chosen, mask.shape)
        fitted = _fit(known, wanted)
        weights.append(fitted)
        errors.append(wanted - _foretold(known, fitted))
    table = np.concatenate(weights).astype("<i4").tobytes()
    signed = np.concatenate(errors).astype(np.int64)
    folded = np.where(signed < 0, -2 * signed - 1, 2 * signed).astype("<u4")
    # Bytes of one weight together: the upper ones are nearly all 0.
    planes = folded.view(np.uint8).reshape(-1, 4).T.tobytes()
    packed_table = shrink(table)
    return HEADER.pack(len(packed_table), len(folded)) + packed_table + shrink(planes)


def decode(data: bytes, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The (X, Y, Z) volume that `encode` was given; 0 outside `mask`.

    Raises
    ------
    Damaged
        `data` does not fit `mask` or is not from `encode`.
    """
    if len(data) < HEADER.size:
        raise Damaged("too short")
    table_size, count = HEADER.unpack_from(data)
    if count != np.count_nonzero(mask):
        raise Damaged(f"{count} voxels for a mask of {np.count_nonzero(mask)}")
    end = HEADER.size + table_size
    sizes = [len(_neighbours(parity)) for _, parity in _passes()]
    table = np.frombuffer(expand(data[HEADER.size : end], 4 * sum(sizes)), "<i4")
    planes = np.frombuffer(expand(data[end:], 4 * count), np.uint8).reshape(4, -1)
    folded = np.ascontiguousarray(planes.T).view("<u4")[:, 0].astype(np.int64)
    errors = np.where(folded % 2, -(folded + 1) // 2, folded // 2).astype(np.float64)
    weights = np.split(table.astype(np.float64), np.cumsum(sizes)[:-1])
    volume, box = np.zeros(mask.shape, np.int64), _box(mask)
    volume[box] = _rebuilt(errors, weights, mask[box])
    return volume


def _rebuilt(errors: Floats, weights: list[Floats], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    inside = np.pad(mask, PADDING)
    values = np.zeros(inside.shape)
    kept = values[tuple(slice(PADDING, PADDING + n) for n in mask.shape)]
    used = np.count_nonzero(mask[_first()])
    kept[_first()][mask[_first()]] = errors[:used]
    for (step, parity), fitted in zip(_passes(), weights, strict=True):
        chosen = inside[_window(step, parity, mask.shape)]
        known = _known(values, step, parity, chosen, mask.shape)
        found = _foretold(known, fitted) + errors[used : used + len(known)]
        used += len(known)
        values[_window(step, parity, mask.shape)][chosen] = found
    return kept.astype(np.int64)


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box with all of the mask in it; nothing for an empty one."""
    inside = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    return tuple(slice(int(i[0]), int(i[-1]) + 1) if len(i) else slice(0) for i in inside)


def _passes() -> Iterator[tuple[int, Offset]]:
    return product(STEPS, BETWEEN)


def _first() -> tuple[slice, ...]:
    return (slice(None, None, 2 * STEPS[0]),) * 3


def _window(step: int, offset: Offset, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Every second voxel of a lattice in the padded volume, moved by `offset` steps."""
    starts = (PADDING + step * o for o in offset)
    return tuple(slice(a, PADDING + n + step * o, 2 * step)
                 for a, o, n in zip(starts, offset, shape, strict=True))  # fmt: skip


def _neighbours(parity: Offset) -> list[Offset]:
    """Where, from a voxel of `parity`, those lie that are known by then."""
    known = {(0, 0, 0), *BETWEEN[: BETWEEN.index(parity)]}
    around = product(range(-REACH, REACH + 1), repeat=3)
    return [
        (a, b, c)
        for a, b, c in around
        if ((parity[0] + a) % 2, (parity[1] + b) % 2, (parity[2] + c) % 2) in known
        and abs(a) + abs(b) + abs(c) <= FARTHEST
    ]


def _known(
    values: Floats, step: int, parity: Offset, chosen: NDArray[np.bool_], shape: tuple[int, ...]
) -> Floats:
    """(voxels, neighbours) values around the chosen voxels of one pass."""
    columns = []
    for a, b, c in _neighbours(parity):
        window = tuple(
            slice(w.start + step * d, w.stop + step * d, w.step)
            for w, d in zip(_window(step, parity, shape), (a, b, c), strict=True)
        )
        columns.append(values[window][chosen])
    return np.stack(columns, axis=1)


def _fit(known: Floats, wanted: Floats) -> Floats:
    """Integer weights by least squares; a small ridge settles neighbours that are equal."""
    if len(wanted) < LEAST_VOXELS * known.shape[1]:
        return np.full(known.shape[1], ONE // known.shape[1], np.float64)
    normal = known.T @ known
    ridge = 1e-6 * np.trace(normal) / len(normal) + 1e-9
    fitted = np.linalg.solve(normal + ridge * np.eye(len(normal)), known.T @ wanted)
    return np.clip(np.round(fitted * ONE), -16 * ONE, 16 * ONE)


def _foretold(known: Floats, weights: Floats) -> Floats:
    # Integers below 2**53 in double precision: exact, in whatever order they are summed.
    return np.floor((known @ weights + ONE // 2) / ONE)


def shrink(data: bytes) -> bytes:
    """LZMA, to be read by `expand`."""
    return lzma.compress(data, format=lzma.FORMAT_XZ, filters=[FILTER])


def expand(data: bytes, size: int) -> bytes:
    """Decompress to `size` bytes, never to more: a hostile file must not fill the memory."""
    reader = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=1 << 28)
    try:
        out = reader.decompress(data, max_length=size + 1)
    except lzma.LZMAError as error:
        raise Damaged(str(error)) from error
    if len(out) != size:
        raise Damaged(f"{len(out)} bytes or more in place of {size}")
    return out
