"""Flat pictures as arrays of a grid, and back.

A picture has rows from top to bottom and columns from left to right on the screen.  A
grid is RAS+: its first axis runs to the patient's right, which radiologists draw on the
left, and its second one up.  So both axes run against the picture's, and what draws
grids as radiologists do shows the picture as it was.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_grid(picture: NDArray[Any]) -> NDArray[Any]:
    """A picture (H, W), row 0 on top, as an array (W, H, 1) of a grid."""
    return np.ascontiguousarray(picture[::-1, ::-1].T[:, :, np.newaxis])


def to_picture(array: NDArray[Any]) -> NDArray[Any]:
    """An array (W, H, 1) of a grid as the picture (H, W), row 0 on top."""
    return np.ascontiguousarray(array[:, :, 0].T[::-1, ::-1])
