"""Scans in the order a viewer shows them, S, P, L, and the exact way back.

napari draws array axes as they are: a layer whose affine turns or permutes axes is
shown empty or ends in a crash.  So the array is handed over with its axes in the
order superior, posterior, left, each growing that way, under a positive scale and a
translation only.  Axial slices then lie with anterior up and the patient's left on
the right.  Permuting and flipping moves no voxel: both ways are views.

A tilted scan is shown along its own axes, its centre where it lies in the patient;
`DisplayOrder.tilt_degrees` says by how much that is off, and the affine stays beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_medsyn.scans.geometry import Affine, Grid, to_world
from napari_medsyn.scans.study import Scan

#: Names of the display axes, for a viewer's axis labels.
AXIS_LABELS = ("S", "P", "L")

#: Row n: display axis n in RAS+ world: superior, posterior, left.
_DISPLAY_IN_RAS = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])

#: Obliquity from which a viewer should say that slices follow the scanner, not the body.
TILT_WORTH_SAYING = 1.0


@dataclass(frozen=True, eq=False, slots=True)
class DisplayOrder:
    """How the axes of one grid are shown.

    Parameters
    ----------
    grid : the grid of the scan.
    axes : for each display axis (S, P, L) the array axis shown there.
    flips : for each display axis whether its index runs against the array's.
    scale : (3,) mm per voxel along S, P, L; positive.
    translate : (3,) S, P, L position of display voxel (0, 0, 0), mm.
    tilt_degrees : largest angle between an array axis and the body axis it is shown as.
    """

    grid: Grid
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    scale: NDArray[np.float64]
    translate: NDArray[np.float64]
    tilt_degrees: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along S, P, L."""
        s, p, l = (self.grid.shape[axis] for axis in self.axes)  # noqa: E741
        return s, p, l

    def to_display(self, array: NDArray[Any]) -> NDArray[Any]:
        """View of an (X, Y, Z) array of the grid, with axes S, P, L."""
        return array.transpose(self.axes)[self._steps()]

    def from_display(self, array: NDArray[Any]) -> NDArray[Any]:
        """View of an S, P, L array with the axes of the grid; undoes `to_display`."""
        return array[self._steps()].transpose(np.argsort(self.axes))

    def to_array_plane(self, display_axis: int, display_index: int) -> tuple[int, int]:
        """Array axis and index of the plane shown at an index of a display axis."""
        axis = self.axes[display_axis]
        return axis, self._turned(display_axis, display_index)

    def to_display_plane(self, axis: int, index: int) -> tuple[int, int]:
        """Display axis and index at which a plane of the array is shown."""
        display_axis = self.axes.index(axis)
        return display_axis, self._turned(display_axis, index)

    def to_display_slab(self, axis: int, start: int, stop: int) -> tuple[slice, slice, slice]:
        """Where planes [start, stop) of an array axis lie in the S, P, L array.

        ``shown[order.to_display_slab(axis, start, stop)] = order.to_display(slab)`` puts a
        slab (whole along the other axes) into a shown array.
        """
        display_axis = self.axes.index(axis)
        where = [slice(None)] * 3
        where[display_axis] = slice(start, stop)
        if self.flips[display_axis]:
            size = self.grid.shape[axis]
            where[display_axis] = slice(size - stop, size - start)
        return where[0], where[1], where[2]

    def index_to_array(self, points: ArrayLike) -> NDArray[np.float64]:
        """(..., 3) display indices to (..., 3) array indices; fractions allowed."""
        display = np.asarray(points, dtype=float)
        turned = np.where(self.flips, np.array(self.shape) - 1 - display, display)
        array = np.empty_like(turned)
        array[..., list(self.axes)] = turned
        return array

    def index_to_display(self, points: ArrayLike) -> NDArray[np.float64]:
        """(..., 3) array indices to (..., 3) display indices; undoes `index_to_array`."""
        display = np.asarray(points, dtype=float)[..., list(self.axes)]
        return np.where(self.flips, np.array(self.shape) - 1 - display, display)

    def world_to_display(self, points: ArrayLike) -> NDArray[np.float64]:
        """(..., 3) RAS+ mm to (..., 3) display indices; fractions, maybe outside the array."""
        inverse: Affine = np.asarray(np.linalg.inv(self.grid.affine), dtype=np.float64)
        return self.index_to_display(to_world(inverse, points))

    def display_to_world(self, points: ArrayLike) -> NDArray[np.float64]:
        """(..., 3) display indices to (..., 3) RAS+ mm, by the exact affine."""
        return to_world(self.grid.affine, self.index_to_array(points))

    def _turned(self, display_axis: int, index: int) -> int:
        if not self.flips[display_axis]:
            return index
        return self.grid.shape[self.axes[display_axis]] - 1 - index

    def _steps(self) -> tuple[slice, slice, slice]:
        s, p, l = (slice(None, None, -1 if flip else 1) for flip in self.flips)  # noqa: E741
        return s, p, l


@dataclass(frozen=True, eq=False, slots=True)
class DisplayArray:
    """A scan ready for a viewer: `array` (S, P, L) is a read-only view of its voxels."""

    array: NDArray[Any]
    order: DisplayOrder

    @property
    def scale(self) -> NDArray[np.float64]:
        """(3,) mm per voxel along S, P, L; positive."""
        return self.order.scale

    @property
    def translate(self) -> NDArray[np.float64]:
        """(3,) S, P, L position of voxel (0, 0, 0), mm."""
        return self.order.translate

    @property
    def axis_order(self) -> tuple[int, int, int]:
        """For each display axis the array axis shown there."""
        return self.order.axes

    @property
    def flips(self) -> tuple[bool, bool, bool]:
        """For each display axis whether it runs against the array's."""
        return self.order.flips

    @property
    def tilt_degrees(self) -> float:
        """Largest angle between an array axis and the body axis it is shown as."""
        return self.order.tilt_degrees


def display_order(grid: Grid) -> DisplayOrder:
    """The order in which an array of `grid` is shown."""
    spacing = grid.spacing
    # cosines[d, a]: how far array axis a points along display axis d.
    cosines = _DISPLAY_IN_RAS @ (grid.affine[:3, :3] / spacing)
    s, p, l = max(  # noqa: E741
        permutations(range(3)), key=lambda axes: sum(abs(cosines[d, a]) for d, a in enumerate(axes))
    )
    axes = (s, p, l)
    along = cosines[range(3), axes]
    shape = np.array(grid.shape)[list(axes)]
    scale = spacing[list(axes)]
    centre = _DISPLAY_IN_RAS @ to_world(grid.affine, (np.array(grid.shape) - 1) / 2)
    return DisplayOrder(
        grid=grid,
        axes=axes,
        flips=(bool(along[0] < 0), bool(along[1] < 0), bool(along[2] < 0)),
        scale=scale,
        translate=centre - scale * (shape - 1) / 2,
        tilt_degrees=float(np.degrees(np.arccos(np.clip(np.abs(along).min(), 0, 1)))),
    )


def to_display(scan: Scan) -> DisplayArray:
    """A scan's voxels with axes S, P, L, and where they lie."""
    order = display_order(scan.grid)
    return DisplayArray(order.to_display(scan.voxels), order)


def from_display(array: NDArray[Any], scan: Scan) -> NDArray[Any]:
    """An S, P, L array with the axes of `scan`'s grid: the exact inverse of `to_display`."""
    return display_order(scan.grid).from_display(array)


def tilt_text(order: DisplayOrder) -> str:
    """What to tell the user of a tilted scan, "" for an upright one."""
    if order.tilt_degrees < TILT_WORTH_SAYING:
        return ""
    return f"tilted {order.tilt_degrees:.0f}°: slices follow the scanner, not the body axes"


def display_affine(order: DisplayOrder) -> Affine:
    """(4, 4) display index to RAS+ mm, exact for tilted and sheared grids too."""
    columns = np.eye(4)
    origin = order.display_to_world([0.0, 0.0, 0.0])
    columns[:3, :3] = (order.display_to_world(np.eye(3)) - origin).T
    columns[:3, 3] = origin
    return columns
