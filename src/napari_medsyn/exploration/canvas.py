"""What is rendered so far: on the model's grid, and resampled on the reference grid."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.exploration.editing import Editing
from napari_medsyn.exploration.resolving import OF_COUNTERFACTUAL

if TYPE_CHECKING:
    from napari_medsyn.exploration.requests import Request
    from napari_medsyn.models.family import Rendered
    from napari_medsyn.scans.preparation import PreparedStudy

Volume = NDArray[np.float32]

#: Gives the output arrays: (names, shape on the reference grid, axis whose planes are filled).
Allocate = Callable[[tuple[str, ...], tuple[int, int, int], int], Mapping[str, Volume]]


def allocate_arrays(
    names: tuple[str, ...], shape: tuple[int, int, int], axis: int
) -> dict[str, Volume]:
    """Zeros of `shape` for each name, in which planes along `axis` are contiguous.

    A plane that is scattered over the whole array would touch all of its pages, which
    costs more than the resampling itself.
    """
    return {name: empty_slabs(shape, axis) for name in names}


def empty_slabs(shape: tuple[int, int, int], axis: int) -> Volume:
    """Zeros of `shape` whose planes along `axis` are contiguous in memory.

    Pages come from the system and cost nothing until they are written to.  `np.zeros`
    gives recycled memory at these sizes and clears all of it, which for a dozen volumes
    takes as long as the model needs for the slice on screen.
    """
    others = [n for a, n in enumerate(shape) if a != axis]
    memory = mmap.mmap(-1, 4 * math.prod(shape))
    return np.moveaxis(np.frombuffer(memory, np.float32).reshape(shape[axis], *others), 0, axis)


def shows_scan(names: tuple[str, ...]) -> bool:
    """Whether some of the outputs show the scan itself outside the brain, not nothing."""
    return any(name.startswith(f"{OF_COUNTERFACTUAL[0]}_") for name in names)


class Canvas:
    """The outputs of one request, filled region by region.

    Parameters
    ----------
    request : names the outputs, and holds the scans that a counterfactual is made of.
    prepared : knows the way back to the reference grid.
    axis : of the reference grid, along which planes are filled.
    allocate : gives the output arrays.
    """

    def __init__(
        self, request: Request, prepared: PreparedStudy, axis: int, allocate: Allocate
    ) -> None:
        names = request.outputs
        self.outputs = allocate(names, prepared.reference.shape, axis)
        self._prepared = prepared
        self._axis = axis
        # What is needed on the model's grid: the mean and the spread of some modalities.
        self._means: dict[str, Volume] = {}
        self._stds: dict[str, Volume] = {}
        edited: list[str] = []
        for name in names:
            kind, _, modality = name.partition("_")
            if kind in OF_COUNTERFACTUAL:
                edited += [] if modality in edited else [modality]
                continue
            volumes = self._stds if kind == "uncertainty" else self._means
            volumes.setdefault(modality, empty_slabs(prepared.grid.shape, 2))
        self._editing = Editing(request.study, edited, prepared, axis) if edited else None

    def put(self, rendered: Rendered) -> None:
        """Take a region's slices over; the model says nothing outside the brain.

        Raises
        ------
        UnusableModel : a counterfactual was asked for, and the family gives no edit.
        """
        slices = list(rendered.region.slices)
        for volumes, values in ((self._means, rendered.mean), (self._stds, rendered.std)):
            for modality, volume in volumes.items():
                if modality in values:
                    volume[:, :, slices] = values[modality]
        if self._editing is not None and slices:
            self._editing.put(rendered)

    def resample(self, start: int, stop: int) -> dict[str, Volume]:
        """Bring planes [start, stop) to the reference grid; give them, as views of `outputs`."""
        planes = (slice(None),) * self._axis + (slice(start, stop),)
        means = {m: self._resampled(volume, start, stop) for m, volume in self._means.items()}
        edited = self._editing.planes(start, stop) if self._editing is not None else {}
        for name, output in self.outputs.items():
            kind, _, modality = name.partition("_")
            if name in edited:
                output[planes] = edited[name]
            elif kind == "uncertainty":
                output[planes] = self._resampled(self._stds[modality], start, stop)
            elif kind == "residual":
                self._residual(means[modality], modality, planes, output[planes])
            else:
                output[planes] = means[modality]
        return {name: output[planes] for name, output in self.outputs.items()}

    def _resampled(self, volume: Volume, start: int, stop: int) -> Volume:
        planes: Volume = self._prepared.to_reference(
            volume, axis=self._axis, start=start, stop=stop
        )
        return planes

    def _residual(
        self, mean: Volume, modality: str, planes: tuple[slice, ...], out: Volume
    ) -> None:
        """Put |mean - scan| of these planes into `out`, 0 outside the brain."""
        np.subtract(mean, self._prepared.reference_volumes[modality][planes], out=out)
        np.abs(out, out=out)
        np.multiply(out, self._prepared.reference_mask[planes], out=out)
