"""Does a stack of slices hang together: changes through the plane beside changes within it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def through_plane(volume: NDArray[np.floating], brain: NDArray[np.bool_]) -> float:
    """Mean absolute difference of adjacent axial slices over that of neighbours in the slice.

    About 1 where voxels are isotropic and the stack is a volume; higher where slices jump,
    lower where they are smeared into each other.

    Parameters
    ----------
    volume : (X, Y, Z), slices along the last axis, isotropic voxels.
    brain : (X, Y, Z) bool; pairs count of which both are in it.

    Raises
    ------
    ValueError : the brain holds no pairs, or the slices are constant.
    """
    across = _mean_difference(volume, brain, 2)
    # Pairs along both axes weigh by their number.
    (left, n_left), (front, n_front) = (_difference(volume, brain, axis) for axis in (0, 1))
    within = (left + front) / max(n_left + n_front, 1)
    if within == 0:
        raise ValueError("nothing changes within the slices of this brain")
    return across / within


def _mean_difference(volume: NDArray[np.floating], brain: NDArray[np.bool_], axis: int) -> float:
    total, pairs = _difference(volume, brain, axis)
    if pairs == 0:
        raise ValueError("the brain has no two voxels above each other")
    return total / pairs


def _difference(
    volume: NDArray[np.floating], brain: NDArray[np.bool_], axis: int
) -> tuple[float, int]:
    """Sum of absolute differences of neighbours along an axis, and how many there are."""
    near, far = (np.moveaxis(brain, axis, 0)[cut] for cut in (slice(1, None), slice(None, -1)))
    both = near & far
    steps = np.abs(np.diff(np.moveaxis(volume, axis, 0).astype(np.float64), axis=0))
    return float(steps[both].sum()), int(both.sum())
