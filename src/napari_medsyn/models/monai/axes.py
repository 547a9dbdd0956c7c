"""From a network's tensor to the axes of a grid, which run to the right, front and top.

MONAI's networks give tensors whose axes are those of the files they were trained on.  A card
says which way they point by three letters, as nibabel's orientation codes do: "LAS" runs to
the patient's left, to the front and to the top.  Pictures that MONAI reads by Pillow have
their columns first and their rows, from top to bottom, second: "LPS" on a screen where the
patient's left is on the right, as radiologists draw it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_AXES: Final = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


def check_orientation(codes: str) -> str:
    """`codes` if they name each of the three directions once.

    Raises
    ------
    ValueError : they do not.
    """
    if len(codes) != 3 or {_AXES[code][0] for code in codes if code in _AXES} != {0, 1, 2}:
        raise ValueError(f"orientation {codes!r} is not three letters such as RAS or LPS")
    return codes


def to_ras(volume: NDArray[np.float32], codes: str) -> NDArray[np.float32]:
    """`volume` with axes to the right, front and top.

    Parameters
    ----------
    volume : (a, b, c), or (a, b) for one plane, whose third axis is then the last code's.
    codes : where its axes point.
    """
    whole = volume if volume.ndim == 3 else volume[..., np.newaxis]
    directions = [_AXES[code] for code in check_orientation(codes)]
    order = [next(i for i, (axis, _) in enumerate(directions) if axis == k) for k in range(3)]
    flipped = [slice(None, None, directions[i][1]) for i in order]
    return np.ascontiguousarray(whole.transpose(order)[tuple(flipped)])


def ras_shape(shape: tuple[int, ...], codes: str) -> tuple[int, int, int]:
    """The shape that `to_ras` gives for a tensor of `shape`."""
    blank = np.broadcast_to(np.float32(0), shape)
    whole = blank if blank.ndim == 3 else blank[..., np.newaxis]
    directions = [_AXES[code][0] for code in check_orientation(codes)]
    sides = [whole.shape[directions.index(axis)] for axis in range(3)]
    return sides[0], sides[1], sides[2]
