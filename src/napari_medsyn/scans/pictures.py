"""Flat pictures as arrays of a grid, and back.

A picture has rows from top to bottom and columns from left to right.  A grid is RAS+:
its first axis runs to the right and its second one up.  A "2D" model's image lies on it
so that what draws grids shows the picture the right way up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_grid(picture: NDArray[Any]) -> NDArray[Any]:
    """A picture (H, W), row 0 on top, as an array (W, H, 1) of a grid."""
    return np.ascontiguousarray(picture[::-1].T[:, :, np.newaxis])


def to_picture(array: NDArray[Any]) -> NDArray[Any]:
    """An array (W, H, 1) of a grid as the picture (H, W), row 0 on top."""
    return np.ascontiguousarray(array[:, :, 0].T[::-1])
