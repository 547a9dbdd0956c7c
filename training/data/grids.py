"""The two grids that everything is trained on, and exact ways onto them."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

MODALITIES = ("T1", "T1c", "T2", "FLAIR")

#: Grid of the 1 mm models: RAS+, voxel (0, 0, 0) at this MNI point, mm.
GRID_SHAPE = (160, 192, 160)
GRID_ORIGIN = (-80.0, -115.0, -74.0)

Voxel = TypeVar("Voxel", bound=np.generic)


def model_affine() -> NDArray[np.float64]:
    """(4, 4) voxel index of the 1 mm model grid to MNI world, mm."""
    affine = np.eye(4)
    affine[:3, 3] = GRID_ORIGIN
    return affine


def to_model_grid(volume: NDArray[Voxel], affine: NDArray[np.float64]) -> NDArray[Voxel]:
    """Flip, crop and pad a 1 mm MNI volume to the model's grid; no value is changed.

    Parameters
    ----------
    volume : (X, Y, Z) any type.
    affine : (4, 4) its voxel index to MNI world, mm; axes along MNI's, 1 mm.

    Returns
    -------
    (160, 192, 160) of the same type, 0 where `volume` does not reach.

    Raises
    ------
    ValueError
        `affine` is not of 1 mm voxels along the MNI axes.
    """
    signs = affine[:3, :3]
    if not np.array_equal(np.abs(signs), np.eye(3)):
        raise ValueError("only 1 mm volumes along the MNI axes fit without resampling")
    out = np.zeros(GRID_SHAPE, volume.dtype)
    source, target = [], []
    for axis in range(3):
        world = GRID_ORIGIN[axis] + np.arange(GRID_SHAPE[axis])
        index = np.round((world - affine[axis, 3]) * signs[axis, axis]).astype(int)
        inside = (index >= 0) & (index < volume.shape[axis])
        source.append(index[inside])
        target.append(np.flatnonzero(inside))
    out[np.ix_(*target)] = volume[np.ix_(*source)]
    return out


def to_ras(
    volumes: NDArray[Voxel], affine: NDArray[np.float64]
) -> tuple[NDArray[Voxel], NDArray[np.float64]]:
    """Flip axes of volumes that lie along the world's axes until all point to R, A, S.

    Parameters
    ----------
    volumes : (..., X, Y, Z) any type.
    affine : (4, 4) voxel index to world, mm, diagonal up to the signs.

    Returns
    -------
    volumes : the same voxels in a new order, contiguous.
    affine : (4, 4) of the turned volumes; every voxel keeps its place in the world.

    Raises
    ------
    ValueError
        The axes are oblique or permuted.
    """
    linear = affine[:3, :3]
    if np.count_nonzero(linear - np.diag(np.diag(linear))):
        raise ValueError("axes are oblique or permuted; only flips are undone here")
    turned = affine.copy()
    steps: list[Any] = [Ellipsis]
    for axis in range(3):
        size = volumes.shape[axis - 3]
        backwards = linear[axis, axis] < 0
        steps.append(slice(None, None, -1 if backwards else 1))
        if backwards:
            turned[axis, 3] += linear[axis, axis] * (size - 1)
            turned[axis, axis] *= -1
    return np.ascontiguousarray(volumes[tuple(steps)]), turned
