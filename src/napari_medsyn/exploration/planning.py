"""Which model slices to compute, in which order, and which planes are whole by then.

Results are wanted on the patient's grid, plane by plane; the model computes slices of
its own grid.  Each plane needs some slices: one or two where the grids are parallel,
more where the scan is tilted.  `Filling` keeps account of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.exploration.requests import Viewport

if TYPE_CHECKING:
    from napari_medsyn.models.family import Region
    from napari_medsyn.scans.preparation import PreparedStudy

#: Planes handed on at a time once what is on screen is there: each costs a refresh.
PLANES_PER_SLAB: Final = 16

#: What `needed_slices` has found, by study and axis.
_NEEDED: WeakKeyDictionary[PreparedStudy, dict[int, tuple[NDArray[np.int_], NDArray[np.int_]]]] = (
    WeakKeyDictionary()
)


def slab_axis(prepared: PreparedStudy) -> int:
    """Axis of the reference grid along which the model's slices follow each other fastest."""
    to_slice = (
        np.linalg.inv(prepared.grid.affine) @ prepared.to_model @ prepared.reference.affine
    )[2, :3]
    # Per millimetre, not per voxel: thick planes would win over in-plane axes otherwise.
    return int(np.argmax(np.abs(to_slice) / prepared.reference.spacing))


def brain_slices(prepared: PreparedStudy) -> NDArray[np.bool_]:
    """(Z,) bool: model slices with any brain; all others are background."""
    return np.asarray(prepared.mask.any(axis=(0, 1)))


def needed_slices(prepared: PreparedStudy, axis: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """First and past-the-last model slice that each plane along `axis` is made from."""
    # Kept: every move of a slider asks for them, and they take milliseconds to find.
    known = _NEEDED.setdefault(prepared, {})
    if axis not in known:
        planes = range(prepared.reference.shape[axis])
        needs = [prepared.model_slices(axis, k, k + 1) for k in planes]
        limit = prepared.grid.shape[2]
        start = np.clip([need.start for need in needs], 0, limit)
        stop = np.clip([need.stop for need in needs], 0, limit)
        known[axis] = start, np.maximum(start, stop)
    return known[axis]


class Filling:
    """Which slices are rendered and which planes have been handed on.

    Parameters
    ----------
    prepared : the study on the model's grid.
    viewport : what is on screen, on the reference grid; None for nothing in particular.
    everywhere : whether planes without brain are handed on, too, since they show something.
    """

    def __init__(
        self, prepared: PreparedStudy, viewport: Viewport | None, *, everywhere: bool = False
    ) -> None:
        self.axis = slab_axis(prepared)
        self._viewport = viewport
        wanted = brain_slices(prepared)
        self._wanted = wanted
        self._done = ~wanted
        # Slices without brain need no work: they count as done from the start.
        self._start, self._stop = needed_slices(prepared, self.axis)
        # A plane that shows no brain is background, as its array is from the start.
        self._sent = (self._missing(wanted) == 0) & (not everywhere)

    @property
    def total(self) -> int:
        """Number of slices to render."""
        return int(self._wanted.sum())

    @property
    def done(self) -> int:
        """Number of slices rendered."""
        return int((self._wanted & self._done).sum())

    def look_at(self, viewport: Viewport | None) -> bool:
        """Change what is on screen; tell whether that changes the order of the rest."""
        changed = viewport != self._viewport
        self._viewport = viewport
        return changed

    def order(self) -> tuple[list[int], list[int]]:
        """Slices on screen that are to come, and all to come from there outwards."""
        pending = np.flatnonzero(~self._done)
        plane = self._plane
        if plane is None:
            # Planes across the slices show all of them: begin in the middle.
            first = pending[:0]
            centre = pending.mean() if self._viewport is not None and len(pending) else 0.0
        else:
            on_screen = (pending >= self._start[plane]) & (pending < self._stop[plane])
            first = pending[on_screen]
            centre = (self._start[plane] + self._stop[plane] - 1) / 2
        outwards = pending[np.argsort(np.abs(pending - centre), kind="stable")]
        return first.tolist(), outwards.tolist()

    def mark(self, slices: Iterable[int]) -> None:
        """Note that `slices` are rendered."""
        self._done[list(slices)] = True

    def next_runs(self, *, flush: bool = False) -> list[tuple[int, int]]:
        """Runs [start, stop) of planes that are whole and not handed on: now they are.

        The plane on screen comes as soon as it is whole, the others `PLANES_PER_SLAB`
        or more at a time; `flush` gives all.
        """
        ready = ~self._sent & (self._missing(~self._done) == 0)
        runs = []
        plane = self._plane
        if plane is not None and ready[plane]:
            runs.append((plane, plane + 1))
            ready[plane] = False
        least = 1 if flush else PLANES_PER_SLAB
        runs += [(start, stop) for start, stop in _runs(ready) if stop - start >= least]
        for start, stop in runs:
            self._sent[start:stop] = True
        return runs

    @property
    def _plane(self) -> int | None:
        """The plane on screen if it lies along the model's slices."""
        if self._viewport is None or self._viewport.axis != self.axis:
            return None
        return min(max(self._viewport.index, 0), len(self._start) - 1)

    def _missing(self, flags: NDArray[np.bool_]) -> NDArray[np.int_]:
        """For each plane, how many of the slices it needs are set in `flags`."""
        before = np.concatenate([[0], np.cumsum(flags)])
        counts: NDArray[np.int_] = before[self._stop] - before[self._start]
        return counts


def split(regions: Sequence[Region], most: int) -> list[Region]:
    """The same slices in the same order, at most `most` of them in one region."""
    from napari_medsyn.models.family import Region

    return [
        Region(region.slices[begin : begin + most], region.phase)
        for region in regions
        # One step at least: a region may prepare others and have no slices of its own.
        for begin in range(0, max(len(region.slices), 1), most)
    ]


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where `flags` is set without interruption: [start, stop) pairs."""
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
