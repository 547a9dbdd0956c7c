"""Axial slices of 64 × 64 pixels at 3.2 mm from volumes of 2 mm."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.models.mssg.lattice import LOW, SHAPE

#: The crop of the healthy people's grid.
CROP: Final = tuple(slice(low, low + n) for low, n in zip(LOW, SHAPE, strict=True))
#: Pixels of a side, their size and the distance of slices, mm.
SIDE: Final = 64
PIXEL_MM: Final = 3.2
VOXEL_MM: Final = 2.0
#: Slices of the crop that are used, first and one past the last: where most brains are.
FIRST, LAST = 3, 79
SLICES: Final = LAST - FIRST
#: MNI152 position of voxel (0, 0, 0) of the healthy people's 2 mm grid, mm.
ORIGIN_MM: Final = (-90.5, -125.5, -71.5)
#: Stored value of normalised intensity 1.
STORED_ONE: Final = 160.0


def resampling(voxels: int) -> NDArray[np.float32]:
    """(SIDE, voxels) weights from an axis of 2 mm to one of 3.2 mm with the same middle.

    A triangle of half-width 3.2 mm, which keeps what the pixels can show and no more.
    Beyond the volume is background.
    """
    beyond = 4
    pixel = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL_MM
    voxel = (np.arange(-beyond, voxels + beyond) - (voxels - 1) / 2) * VOXEL_MM
    weights = np.maximum(0, 1 - np.abs(pixel[:, None] - voxel) / PIXEL_MM)
    # Pixels lie differently between voxels: without this, a grid of light and dark would show.
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    return weights[:, beyond : beyond + voxels].astype(np.float32)


def sliced(volume: NDArray[np.generic]) -> NDArray[np.float32]:
    """(SLICES, SIDE, SIDE) slices of one volume (*SHAPE); x, then y, in each."""
    x, y = resampling(SHAPE[0]), resampling(SHAPE[1])
    chosen = np.moveaxis(volume[:, :, FIRST:LAST].astype(np.float32), 2, 0)
    return np.asarray(x @ chosen @ y.T, np.float32)


def grid() -> dict[str, object]:
    """The grid of a stack as a card says it."""
    origin = [
        start + VOXEL_MM * (low + (n - 1) / 2) - PIXEL_MM * (SIDE - 1) / 2
        for start, low, n in zip(ORIGIN_MM[:2], LOW[:2], SHAPE[:2], strict=True)
    ]
    return {
        "shape": [SIDE, SIDE, SLICES],
        "spacing_mm": [PIXEL_MM, PIXEL_MM, VOXEL_MM],
        "origin_mm": [*np.round(origin, 3).tolist(), ORIGIN_MM[2] + VOXEL_MM * (LOW[2] + FIRST)],
        "orientation": "RAS",
        "space": "MNI152",
        "dim": "2D axial",
    }
