"""The patient's scan under a counterfactual, on the patient's grid and in its units.

A family gives an `Edit` on the model's grid.  It is not the model's picture of the patient
that is shown, but the scan itself, edited: value(x) = scan(x + d(x)) + change(x) (high - low).
What the model does not know of stays, and an edit of nothing gives the scan's own voxels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.own_voxels import OwnVoxels, own_voxels
from napari_medsyn.scans.preparation.resampling import index_map, resample, select_planes

if TYPE_CHECKING:
    from napari_medsyn.models.family import Rendered
    from napari_medsyn.scans.preparation import PreparedStudy
    from napari_medsyn.scans.study import Study

Volume = NDArray[np.float32]
K = TypeVar("K")


class Editing:
    """The edit as far as it is rendered, and the scans that it is done to.

    Parameters
    ----------
    study : the patient's scans.
    modalities : which of them are edited.
    prepared : the study on the model's grid, and the way back.
    axis : of the reference grid, along which planes are filled.
    """

    def __init__(
        self, study: Study, modalities: Iterable[str], prepared: PreparedStudy, axis: int
    ) -> None:
        self._prepared = prepared
        self._axis = axis
        self._to_model = index_map(prepared.grid, prepared.reference, prepared.to_model)
        self._own = {name: own_voxels(study, prepared, name) for name in modalities}
        #: By modality, the change of intensity; by axis of the model's world, the displacement,
        #: mm; the logarithm of the Jacobian.  What is nothing so far is not there.
        self._changes: dict[str, Volume] = {}
        self._moves: dict[int, Volume] = {}
        self._jacobian: dict[str, Volume] = {}

    def put(self, rendered: Rendered) -> None:
        """Take over the edit of a region; nothing changes outside the brain.

        Raises
        ------
        UnusableModel : there is no edit.
        """
        edit = rendered.edit
        if edit is None:
            raise UnusableModel("this model says nothing of how a scan is to be changed")
        slices = list(rendered.region.slices)
        inside = self._prepared.mask[:, :, slices]
        for name in self._own:
            if name in edit.change:
                self._keep(self._changes, name, slices, edit.change[name] * inside)
        if edit.displacement is not None and edit.displacement.any():
            for along, values in enumerate(edit.displacement):
                self._keep(self._moves, along, slices, values, begin=True)
        self._keep(self._jacobian, "", slices, edit.jacobian)

    def planes(self, start: int, stop: int) -> dict[str, Volume]:
        """Every kind of output of every scan, planes [start, stop) of the reference grid.

        Returns
        -------
        "counterfactual_T1" and "difference_T1" in the scanner's units; "jacobian_T1".
        """
        planes: dict[str, Volume] = {}
        moves = [self._interpolated(move, start, stop) for move in self._moves.values()]
        jacobian = [self._interpolated(one, start, stop) for one in self._jacobian.values()]
        for name, own in self._own.items():
            before = own.planes(self._axis, start, stop)
            after = before.copy()
            if moves:
                self._move(own, np.stack(moves), start, after)
            self._change(name, own, start, stop, after)
            planes[f"counterfactual_{name}"] = after
            planes[f"difference_{name}"] = after - before
            planes[f"jacobian_{name}"] = jacobian[0] if jacobian else np.zeros_like(after)
        return planes

    def _keep(
        self,
        kept: dict[K, Volume],
        key: K,
        slices: list[int],
        values: Volume | None,
        *,
        begin: bool = False,
    ) -> None:
        """Take slices over into `kept[key]`, which begins with the first that is not all 0."""
        if values is None or not (begin or key in kept or values.any()):
            return
        if key not in kept:
            kept[key] = np.zeros(self._prepared.grid.shape, np.float32)
        kept[key][:, :, slices] = values

    def _move(self, own: OwnVoxels, moves: Volume, start: int, out: Volume) -> None:
        """Put the scan's voxels from displaced places into `out`, where there is a displacement.

        `moves` : (3, …) mm in the model's world on these planes.
        """
        moving = moves.any(axis=0)
        if not moving.any():
            return
        indices = np.array(np.nonzero(moving))
        indices[self._axis] += start
        out[moving] = own.displaced(indices, self._to_voxels(own) @ moves[:, moving])

    def _to_voxels(self, own: OwnVoxels) -> NDArray[np.float64]:
        """(3, 3) from a vector in the model's world, mm, to one in voxels of the scan."""
        to_world = self._prepared.to_model[:3, :3] @ self._prepared.reference.affine[:3, :3]
        steps: NDArray[np.float64] = own.to_voxels[:3, :3] @ np.linalg.inv(to_world)
        return steps

    def _change(self, name: str, own: OwnVoxels, start: int, stop: int, out: Volume) -> None:
        """Add the change of intensity; no voxel gets darker than the scan's darkest."""
        if name not in self._changes:
            return
        scale = self._prepared.scales[name]
        change = self._prepared.to_reference(
            self._changes[name], axis=self._axis, start=start, stop=stop
        )
        out += change * np.float32(scale.high - scale.low)
        np.maximum(out, own.lowest, out=out)

    def _interpolated(self, volume: Volume, start: int, stop: int) -> Volume:
        """A smooth field of the model's grid on these planes, 0 outside the brain.

        Unlike an image it does not end at the brain's edge: nothing of it is mixed with the
        0 around, and what fades towards the edge goes on to fade.
        """
        reference = self._prepared.reference
        inside = self._prepared.reference_mask[(slice(None),) * self._axis + (slice(start, stop),)]
        if not inside.any():
            return np.zeros(inside.shape, np.float32)
        planes = select_planes(self._to_model, reference.shape, self._axis, start, stop)
        field = resample(volume, *planes, average=False)
        return np.multiply(field, inside, out=field)
