"""A scan's own voxels, as they are or taken from places a little beside.

Between voxels the scan is a cubic B-spline (Unser, *IEEE Signal Processing Magazine* 16(6),
1999, section "Cubic splines"), since a linear interpolation would blur the patient's detail
wherever tissue moves.  A spline overshoots at edges, so what it says is clipped to the eight
voxels around the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.scans.geometry import Affine, corner_indices, to_world
from napari_medsyn.scans.preparation.prepared import PreparedStudy
from napari_medsyn.scans.preparation.resampling import as_crop, resample, select_planes
from napari_medsyn.scans.study import Study

Volume = NDArray[np.float32]

#: How far beside the brain tissue may come from, mm; what lies farther is taken from there.
REACH_MM = 24.0

#: What `own_voxels` has made, by prepared study and modality.
_KNOWN: WeakKeyDictionary[PreparedStudy, dict[str, OwnVoxels]] = WeakKeyDictionary()


def own_voxels(study: Study, prepared: PreparedStudy, modality: str) -> OwnVoxels:
    """The voxels of the study's scan of `modality`; kept as long as `prepared` is."""
    known = _KNOWN.setdefault(prepared, {})
    if modality not in known:
        scan = study.get(modality)
        if scan is None:
            raise ValueError(f"the study has no {modality}")
        images = [one for one in study if one.modality != "label"]
        # The first image's grid is the grid of results.
        is_first = scan is images[0]
        to_voxels = np.eye(4) if is_first else prepared.reference_volumes[modality].to_voxels
        reach = REACH_MM / scan.grid.spacing
        known[modality] = OwnVoxels(scan.voxels, to_voxels, prepared.reference_mask, reach)
    return known[modality]


@dataclass(frozen=True, slots=True)
class _Spline:
    """Part of a scan as a cubic spline.

    Parameters
    ----------
    coefficients : (X, Y, Z) float32.
    lowest, highest : (X, Y, Z) float32, among the voxel and its neighbours one further on.
    corner : (3,) index of the part's first voxel in the scan.
    """

    coefficients: Volume
    lowest: Volume
    highest: Volume
    corner: NDArray[np.float64]


class OwnVoxels:
    """One scan of the patient.

    Parameters
    ----------
    voxels : (X, Y, Z) real numbers in the scanner's units; what is not finite counts as 0.
    to_voxels : (4, 4) from indices of the reference grid to those of `voxels`.
    inside : bool, the brain on the reference grid: the part that may be displaced.
    reach : (3,) how far beside it tissue may come from, in voxels of the scan.
    """

    def __init__(
        self,
        voxels: NDArray[Any],
        to_voxels: Affine,
        inside: NDArray[np.bool_],
        reach: NDArray[np.float64],
    ) -> None:
        if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
            voxels = np.nan_to_num(voxels, nan=0.0, posinf=0.0, neginf=0.0)
        self._voxels = voxels
        self.to_voxels = to_voxels
        self._inside = inside
        self._reach = reach

    @cached_property
    def lowest(self) -> np.float32:
        """The scan's lowest value."""
        return np.float32(self._voxels.min())

    def planes(self, axis: int, start: int, stop: int) -> Volume:
        """Planes [start, stop) of the reference grid, float32.

        Bit exact where the scan is on the reference grid.  Where it is not, the brain is
        interpolated as `displaced` does, so that a small displacement makes a small difference.
        """
        to_voxels, shape = select_planes(self.to_voxels, _shape(self._inside), axis, start, stop)
        out = resample(self._voxels, to_voxels, shape, order=3, average=False)
        if as_crop(to_voxels, _shape(self._voxels), shape) is None:
            inside = self._inside[(slice(None),) * axis + (slice(start, stop),)]
            indices = np.array(np.nonzero(inside))
            indices[axis] += start
            out[inside] = self.displaced(indices, np.zeros(indices.shape))
        return out

    def displaced(self, indices: NDArray[Any], offsets: NDArray[np.float64]) -> Volume:
        """The scan at places beside voxels of the reference grid.

        Parameters
        ----------
        indices : (3, n) indices of the reference grid.
        offsets : (3, n) how far beside, in voxels of the scan.

        Returns
        -------
        (n,) float32, the scanner's units.
        """
        from scipy import ndimage

        spline = self._spline
        places = self.to_voxels[:3, :3] @ indices + self.to_voxels[:3, 3:] + offsets
        places -= spline.corner[:, None]
        # Beyond the part that is kept, and beyond the scan, the last voxel goes on.
        last = np.array(spline.coefficients.shape)[:, None] - 1
        np.clip(places, 0, last, out=places)
        values: Volume = ndimage.map_coordinates(
            spline.coefficients, places, output=np.float32, order=3, mode="mirror", prefilter=False
        )
        cells = tuple(places.astype(np.intp))
        return np.clip(values, spline.lowest[cells], spline.highest[cells], out=values)

    def ready(self) -> None:
        """Do now what the first `displaced` would have to do, about a second."""
        _ = self._spline

    @cached_property
    def _spline(self) -> _Spline:
        from scipy import ndimage

        box, corner = self._box
        part = self._voxels[box].astype(np.float32)
        coefficients = ndimage.spline_filter(part, 3, output=np.float32, mode="mirror")
        return _Spline(coefficients, _among(part, np.minimum), _among(part, np.maximum), corner)

    @property
    def _box(self) -> tuple[tuple[slice, ...], NDArray[np.float64]]:
        """The voxels that the brain may be made from, and the first one's index."""
        first, last = _bounds(self._inside)
        corners = first + corner_indices((2, 2, 2)) * (last - first)
        reached = to_world(self.to_voxels, corners)
        shape = np.array(self._voxels.shape)
        low = np.clip(np.floor(reached.min(axis=0) - self._reach), 0, shape - 1)
        high = np.clip(np.ceil(reached.max(axis=0) + self._reach) + 1, low + 1, shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return box, low


def _bounds(inside: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last index along each axis at which `inside` is set; all if nowhere."""
    first, last = [], []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        places = np.flatnonzero(inside.any(axis=others))
        first.append(places[0] if len(places) else 0)
        last.append(places[-1] if len(places) else inside.shape[axis] - 1)
    return np.array(first, float), np.array(last, float)


def _among(part: Volume, choose: np.ufunc) -> Volume:
    """`choose` among each voxel and the seven that follow it along the axes."""
    chosen = part.copy()
    for axis in range(3):
        ahead = [slice(None)] * 3
        ahead[axis] = slice(1, None)
        here = [slice(None)] * 3
        here[axis] = slice(None, -1)
        chosen[tuple(here)] = choose(chosen[tuple(here)], chosen[tuple(ahead)])
    return chosen


def _shape(array: NDArray[Any]) -> tuple[int, int, int]:
    x, y, z = array.shape
    return x, y, z
