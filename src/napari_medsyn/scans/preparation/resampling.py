"""Voxels from one grid to another by one interpolation, or by none where grids agree.

Everything is said by an affine from the indices of the wanted voxels to indices of the
given ones.  Where that affine permutes, flips and shifts by whole voxels, resampling is
cropping and padding: bit exact.  Elsewhere it is linear interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.scans.geometry import Affine, Grid, corner_indices, to_world

Shape = tuple[int, int, int]

#: Voxels that grids may be off and still count as the same points.
TOLERANCE_VOXELS = 1e-3
#: Wanted voxels larger than given ones by this factor are averaged, not sampled.
COARSER = 1.2


def index_map(source: Grid, target: Grid, world: Affine | None = None) -> Affine:
    """(4, 4) affine from voxel indices of `target` to those of `source`.

    Parameters
    ----------
    world : (4, 4) from the world of `target` to the world of `source`, mm; None: the same.
    """
    between = target.affine if world is None else world @ target.affine
    return _snapped(np.asarray(np.linalg.solve(source.affine, between), float), target.shape)


def inverse(affine: Affine) -> Affine:
    """The way back."""
    return np.asarray(np.linalg.inv(affine), float)


def select_planes(
    to_source: Affine, shape: Shape, axis: int, start: int, stop: int
) -> tuple[Affine, Shape]:
    """The map and the shape of planes [start, stop) along `axis` of the wanted voxels."""
    moved = to_source.copy()
    moved[:3, 3] += to_source[:3, axis] * start
    planes = list(shape)
    planes[axis] = stop - start
    return moved, (planes[0], planes[1], planes[2])


@dataclass(frozen=True, slots=True)
class Crop:
    """Resampling without interpolation: transpose, flip, cut out, pad.

    Parameters
    ----------
    axes : for each wanted axis the given axis.
    source : for each given axis which voxels are taken, in which direction.
    target : for each wanted axis where they go.
    """

    axes: tuple[int, int, int]
    source: tuple[slice, slice, slice]
    target: tuple[slice, slice, slice]


def as_crop(to_source: Affine, given: Shape, wanted: Shape) -> Crop | None:
    """`to_source` as a crop between arrays of these shapes, None if it has to interpolate."""
    rounded = np.round(to_source[:3]).astype(int)
    linear = np.abs(rounded[:, :3])
    if not np.array_equal(rounded, to_source[:3]):
        return None
    if linear.max() != 1 or (linear.sum(axis=0) != 1).any() or (linear.sum(axis=1) != 1).any():
        return None
    source: list[slice] = [slice(0)] * 3
    target: list[slice] = []
    axes: list[int] = []
    for axis in range(3):
        come_from = int(np.argmax(linear[:, axis]))
        step, first = int(rounded[come_from, axis]), int(rounded[come_from, 3])
        index = first + step * np.arange(wanted[axis])
        inside = np.flatnonzero((index >= 0) & (index < given[come_from]))
        axes.append(come_from)
        if not len(inside):
            source[come_from], to = slice(0), slice(0)
        else:
            begin, end = int(index[inside[0]]), int(index[inside[-1]]) + step
            source[come_from] = slice(begin, end if end >= 0 else None, step)
            to = slice(int(inside[0]), int(inside[-1]) + 1)
        target.append(to)
    return Crop(
        (axes[0], axes[1], axes[2]),
        (source[0], source[1], source[2]),
        (target[0], target[1], target[2]),
    )


def resample(
    voxels: NDArray[np.generic],
    to_source: Affine,
    shape: Shape,
    *,
    order: int = 1,
    average: bool = True,
) -> NDArray[np.float32]:
    """`voxels` at the points of another grid; 0 where there are none.

    Parameters
    ----------
    voxels : (X, Y, Z) finite numbers on the given grid.
    to_source : (4, 4) from indices of the wanted voxels to indices of `voxels`.
    shape : wanted voxels along each axis.
    order : of the interpolating spline, 1 linear, 3 cubic; no matter where grids agree.
    average : whether a wanted voxel much larger than a given one takes the mean over its
        extent (no aliasing) rather than the value at its centre.

    Returns
    -------
    `shape` float32.
    """
    crop = as_crop(to_source, _shape(voxels), shape)
    if crop is not None:
        out = np.zeros(shape, np.float32)
        out[crop.target] = voxels[crop.source].transpose(crop.axes)
        return out
    from scipy import ndimage

    # What a cubic spline's prefilter or an average reaches beyond the points themselves.
    margin = 12 if average or order > 1 else 1
    part, offset = _needed(voxels, to_source, shape, margin)
    if 0 in part.shape:
        return np.zeros(shape, np.float32)
    values = part.astype(np.float32, copy=False)
    if average:
        values = _averaged(values, to_source)
    resampled: NDArray[np.float32] = ndimage.affine_transform(
        values,
        to_source[:3, :3],
        to_source[:3, 3] - offset,
        output_shape=shape,
        output=np.float32,
        order=order,
        mode="grid-constant",
    )
    return resampled


def needed_range(to_source: Affine, shape: Shape, along: int, size: int) -> range:
    """Which of `size` given planes along axis `along` the wanted voxels are made from."""
    position = to_world(to_source, corner_indices(shape))[:, along]
    start = max(int(np.floor(position.min())), 0)
    stop = min(int(np.ceil(position.max())) + 1, size)
    return range(start, max(start, stop))


def _needed(
    voxels: NDArray[np.generic], to_source: Affine, shape: Shape, margin: int
) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """The box of `voxels` that is looked at, with a margin, and the index of its corner."""
    boxes = []
    for axis, size in enumerate(voxels.shape):
        reach = needed_range(to_source, shape, axis, size)
        boxes.append(slice(max(reach.start - margin, 0), min(reach.stop + margin, size)))
    return voxels[tuple(boxes)], np.array([box.start for box in boxes], float)


def _averaged(voxels: NDArray[np.float32], to_source: Affine) -> NDArray[np.float32]:
    """`voxels` blurred along the axes whose wanted voxels are larger than the given ones.

    A voxel of width w is taken for a Gaussian of standard deviation w / 2.355 (its width at
    half height is w); what a given voxel lacks to the wanted width is added.
    """
    from scipy import ndimage

    # Given voxels that one wanted voxel spans along each given axis.
    width = np.abs(to_source[:3, :3]).max(axis=1)
    sigma = np.where(width > COARSER, np.sqrt(np.maximum(width**2 - 1, 0)) / 2.355, 0.0)
    if not sigma.any():
        return voxels
    blurred: NDArray[np.float32] = ndimage.gaussian_filter(voxels, sigma, mode="nearest")
    return blurred


def _snapped(to_source: Affine, shape: Shape) -> Affine:
    """The same map without the last digits' noise where it is one of whole numbers."""
    rounded: Affine = np.round(to_source)
    corners = corner_indices(shape)
    distance = np.abs(to_world(to_source, corners) - to_world(rounded, corners)).max()
    return rounded if distance < TOLERANCE_VOXELS else to_source


def _shape(voxels: NDArray[np.generic]) -> Shape:
    x, y, z = voxels.shape
    return x, y, z
