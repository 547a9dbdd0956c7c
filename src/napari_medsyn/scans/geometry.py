"""Grids: where the voxels of a scan lie in the patient, in RAS+ millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Affine = NDArray[np.float64]

#: LPS+ (the world of DICOM and ITK) to RAS+ (ours), and back.
LPS_TO_RAS: Affine = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """A shape and an affine; two scans are aligned if and only if their grids match.

    Parameters
    ----------
    shape : (3,) voxels along each array axis (i, j, k).
    affine : (4, 4) float64, voxel index to RAS+ world, mm.
    """

    shape: tuple[int, int, int]
    affine: Affine

    @property
    def spacing(self) -> NDArray[np.float64]:
        """(3,) voxel size, mm, in array-axis order."""
        spacing: NDArray[np.float64] = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return spacing

    def matches(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids have the same shape and every corner within `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        corners = corner_indices(self.shape)
        distance = to_world(self.affine, corners) - to_world(other.affine, corners)
        return bool(np.abs(distance).max() <= tolerance_mm)


def corner_indices(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """(8, 3) indices of the corner voxels' centres of an array of `shape`."""
    return np.array(
        [
            [i, j, k]
            for i in (0, shape[0] - 1)
            for j in (0, shape[1] - 1)
            for k in (0, shape[2] - 1)
        ],
        dtype=float,
    )


def to_world(affine: Affine, indices: ArrayLike) -> NDArray[np.float64]:
    """Map (..., 3) voxel indices to (..., 3) world points, mm."""
    points = np.asarray(indices, dtype=float)
    return points @ affine[:3, :3].T + affine[:3, 3]


def is_singular(affine: Affine, tolerance: float = 1e-4) -> bool:
    """Whether the affine cannot be inverted safely: an axis of no length, or axes in one plane.

    The volume that the axes' unit vectors span is compared with `tolerance`, so that a
    small voxel is no reason and 1 stands for axes at right angles.
    """
    columns = np.asarray(affine, dtype=float)[:3, :3]
    lengths = np.sqrt((columns**2).sum(axis=0))
    if lengths.min() < 1e-9:
        return True
    return bool(abs(np.linalg.det(columns / lengths)) < tolerance)


def is_sheared(affine: Affine, tolerance: float = 1e-4) -> bool:
    """Whether two axes meet at other than right angles (cosine above `tolerance`)."""
    columns = np.asarray(affine, dtype=float)[:3, :3]
    unit = columns / np.sqrt((columns**2).sum(axis=0))
    return bool(np.abs(unit.T @ unit - np.eye(3)).max() > tolerance)
