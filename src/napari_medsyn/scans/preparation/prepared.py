"""A study on a model's grid, and the way back to the patient's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.scans.geometry import Affine, Grid
from napari_medsyn.scans.preparation.intensity import IntensityScale
from napari_medsyn.scans.preparation.resampling import (
    as_crop,
    index_map,
    needed_range,
    resample,
    select_planes,
)

Volume = NDArray[np.float32]

#: Share of brain in an interpolated voxel from which it can be told what the brain adds to it.
LEAST_WEIGHT = 0.25


@dataclass(frozen=True, eq=False)
class ReferenceVolume:
    """One scan in normalised intensity on the reference grid, computed where it is looked at.

    Stands in for an (X, Y, Z) float32 array: index it with slices, or ask for all by
    `numpy.asarray`.

    Parameters
    ----------
    voxels : of the scan on its own grid, finite and not negative.
    to_voxels : (4, 4) from indices of the reference grid to indices of `voxels`.
    shape : of the reference grid.
    """

    voxels: NDArray[Any]
    to_voxels: Affine
    shape: tuple[int, int, int]
    scale: IntensityScale

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Always float32."""
        return np.dtype(np.float32)

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    def __getitem__(self, index: Any) -> Volume:
        index = index if isinstance(index, tuple) else (index,)
        to_voxels, shape = self.to_voxels, self.shape
        for axis, part in enumerate(index):
            if isinstance(part, slice) and part.step in (None, 1):
                start, stop, _ = part.indices(self.shape[axis])
                stop = max(start, stop)
                to_voxels, shape = select_planes(to_voxels, shape, axis, start, stop)
            else:
                picked: Volume = np.asarray(self)[index]
                return picked
        return self.scale.normalise(resample(self.voxels, to_voxels, shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy  # always new
        return self[:, :, :].astype(dtype or np.float32, copy=False)


class ReferenceVolumes(Mapping[str, Any]):
    """Modality to its `ReferenceVolume`."""

    def __init__(self, volumes: Mapping[str, ReferenceVolume]) -> None:
        self._volumes = dict(volumes)

    def __getitem__(self, modality: str) -> ReferenceVolume:
        return self._volumes[modality]

    def __iter__(self) -> Iterator[str]:
        return iter(self._volumes)

    def __len__(self) -> int:
        return len(self._volumes)


@dataclass(frozen=True, eq=False)
class PreparedStudy:
    """A study on a model's grid with the recorded, invertible way back.

    Parameters
    ----------
    volumes : modality to (X, Y, Z) float32 on the model's grid, normalised intensity,
        0 outside `mask`.
    mask : (X, Y, Z) bool, the brain on the model's grid.
    grid : the model's grid.
    reference : the grid of results: that of the first scan.
    reference_mask : bool, the brain on the reference grid.
    to_model : (4, 4) from the reference scan's world to the model's world, mm.
    scales : modality to what became 0 and 1, in the scanner's units.
    reference_volumes : modality to the scan on the reference grid in normalised intensity,
        not masked; computed where it is looked at.
    steps : what was done, in order; JSON-able.
    notes : sentences for the user.
    content_hash : the same for the same study, grid and options.
    """

    volumes: Mapping[str, Volume]
    mask: NDArray[np.bool_]
    grid: Grid
    reference: Grid
    reference_mask: NDArray[np.bool_]
    to_model: Affine
    scales: Mapping[str, IntensityScale]
    reference_volumes: Mapping[str, Any]
    steps: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    content_hash: str
    _weights: dict[tuple[int, int, int], Volume] = field(default_factory=dict, repr=False)

    @cached_property
    def _to_model_index(self) -> Affine:
        """(4, 4) from indices of the reference grid to indices of the model's grid."""
        return index_map(self.grid, self.reference, self.to_model)

    @cached_property
    def _is_exact(self) -> bool:
        shapes = self.grid.shape, self.reference.shape
        return as_crop(self._to_model_index, *shapes) is not None

    def to_reference(
        self,
        volume: Volume,
        *,
        axis: int | None = None,
        start: int = 0,
        stop: int | None = None,
        order: int = 1,
    ) -> Volume:
        """A volume of the model's grid on the reference grid, 0 outside `reference_mask`.

        Parameters
        ----------
        volume : (X, Y, Z) on the model's grid; what lies outside `mask` is not looked at
            where grids differ.
        axis, start, stop : only planes [start, stop) along this axis of the reference grid.
        order : of the interpolating spline, 1 or 3; without effect where grids agree.

        Returns
        -------
        float32, the reference grid's shape or that of the planes.  Bit exact where the two
        grids differ by whole voxels, flips and permutations only.  Elsewhere a voxel gets
        the value at its centre, also where slices are thick: the inverse of interpolation.
        """
        along = 2 if axis is None else axis
        stop = self.reference.shape[along] if stop is None else stop
        planes = (slice(None),) * along + (slice(start, stop),)
        inside = self.reference_mask[planes]
        to_model, shape = select_planes(
            self._to_model_index, self.reference.shape, along, start, stop
        )
        if not inside.any():
            return np.zeros(shape, np.float32)
        out = resample(volume, to_model, shape, order=order, average=False)
        if not self._is_exact:
            # At its edge the brain is mixed with the 0 around it: undo that.
            weights = self._weights_of(along, start, stop)
            np.divide(out, weights, out=out, where=weights > LEAST_WEIGHT)
        out[~inside] = 0
        return out

    def model_slices(self, axis: int, start: int, stop: int) -> range:
        """Slices (last axis of the model's grid) that make reference planes [start, stop)."""
        to_model, shape = select_planes(
            self._to_model_index, self.reference.shape, axis, start, stop
        )
        return needed_range(to_model, shape, 2, self.grid.shape[2])

    def _weights_of(self, axis: int, start: int, stop: int) -> Volume:
        """Share of the model's brain in each voxel of these planes; the last one asked is kept."""
        key = (axis, start, stop)
        if key not in self._weights:
            planes = select_planes(self._to_model_index, self.reference.shape, axis, start, stop)
            weights = resample(self.mask, *planes, average=False)
            self._weights.clear()  # the outputs of one slab ask for the same
            self._weights[key] = weights
            return weights
        return self._weights[key]
