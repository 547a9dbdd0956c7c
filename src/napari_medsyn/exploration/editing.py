"""The patient's scan under a counterfactual, on the patient's grid and in its units.

A family gives an `Edit` on the model's grid.  It is not the model's picture of the patient
that is shown, but the scan itself, edited: value(x) = scan(x + d(x)) + change(x) (high - low).
What the model does not know of stays, and an edit of nothing gives the scan's own voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.fields import Fields
from napari_medsyn.exploration.own_voxels import OwnVoxels, own_voxels
from napari_medsyn.scans.preparation.prepared import LEAST_WEIGHT

if TYPE_CHECKING:
    from napari_medsyn.models.family import Rendered
    from napari_medsyn.scans.preparation import PreparedStudy
    from napari_medsyn.scans.study import Study

Volume = NDArray[np.float32]

#: Numbers of the fields: the displacement along x, y, z of the model's world, mm; the
#: logarithm of its Jacobian; the brain; then the change of each modality.
_MOVES: Final = slice(0, 3)
_JACOBIAN: Final = 3
_BRAIN: Final = 4
_CHANGES: Final = 5


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
        self, study: Study, modalities: Sequence[str], prepared: PreparedStudy, axis: int
    ) -> None:
        self._prepared = prepared
        self._axis = axis
        self._own = {name: own_voxels(study, prepared, name) for name in modalities}
        self._fields = Fields(prepared, _CHANGES + len(self._own))
        #: Whether there is more than zeros so far; what is nothing costs nothing.
        self._does_something = False

    def put(self, rendered: Rendered) -> None:
        """Take over the edit of a region.

        Raises
        ------
        UnusableModel : there is no edit.
        """
        edit = rendered.edit
        if edit is None:
            raise UnusableModel("this model says nothing of how a scan is to be changed")
        slices = rendered.region.slices
        inside = self._prepared.mask[:, :, list(slices)]
        # A displacement fades towards the brain's edge as the family has it; a change of
        # intensity ends there, and so is interpolated with the brain's share.
        put = self._fields.put
        put(_BRAIN, slices, inside)
        for number, name in enumerate(self._own, start=_CHANGES):
            if name in edit.change:
                put(number, slices, edit.change[name] * inside)
                self._does_something |= bool(edit.change[name].any())
        if edit.displacement is not None:
            for number, along in enumerate(edit.displacement):
                put(number, slices, along)
            self._does_something |= bool(edit.displacement.any())
        if edit.jacobian is not None:
            put(_JACOBIAN, slices, edit.jacobian)
            self._does_something |= bool(edit.jacobian.any())

    def planes(self, start: int, stop: int) -> dict[str, Volume]:
        """Every kind of output of every scan, planes [start, stop) of the reference grid.

        Returns
        -------
        "counterfactual_T1" and "difference_T1" in the scanner's units; "jacobian_T1".
        """
        inside = self._prepared.reference_mask[(slice(None),) * self._axis + (slice(start, stop),)]
        within = np.array(np.nonzero(inside))
        indices = within.copy()
        indices[self._axis] += start
        at = self._fields.at(indices) if self._does_something and indices.size else None
        jacobian = np.zeros(inside.shape, np.float32)
        if at is not None:
            jacobian[inside] = at[_JACOBIAN]
        planes: dict[str, Volume] = {}
        for number, (name, own) in enumerate(self._own.items(), start=_CHANGES):
            before = own.planes(self._axis, start, stop)
            after = before.copy()
            if at is not None:
                after[inside] = self._edited(own, name, before[inside], indices, at, number)
            planes[f"counterfactual_{name}"] = after
            planes[f"difference_{name}"] = after - before
            planes[f"jacobian_{name}"] = jacobian
        return planes

    def _edited(
        self,
        own: OwnVoxels,
        name: str,
        values: Volume,
        indices: NDArray[np.int_],
        fields: Volume,
        number: int,
    ) -> Volume:
        """The edited `values` (n,) of the voxels at `indices` (3, n), scanner's units.

        Parameters
        ----------
        fields : (count, n) the edit at these voxels.
        number : of the field that holds the change of this modality.
        """
        moves = fields[_MOVES]
        moving = moves.any(axis=0)
        if moving.any():
            offsets = self._to_voxels(own) @ moves[:, moving]
            values[moving] = own.displaced(indices[:, moving], offsets)
        change, share = fields[number], fields[_BRAIN]
        changing = change != 0
        if changing.any():
            scale = self._prepared.scales[name]
            # At its edge the brain is mixed with the 0 around it: undo that.
            change = np.divide(change, share, out=change.copy(), where=share > LEAST_WEIGHT)
            values += change * np.float32(scale.high - scale.low)
            # No voxel gets darker than the scan's darkest.
            np.maximum(values, own.lowest, out=values, where=changing)
        return values

    def _to_voxels(self, own: OwnVoxels) -> NDArray[np.float64]:
        """(3, 3) from a vector in the model's world, mm, to one in voxels of the scan."""
        to_world = self._prepared.to_model[:3, :3] @ self._prepared.reference.affine[:3, :3]
        steps: NDArray[np.float64] = own.to_voxels[:3, :3] @ np.linalg.inv(to_world)
        return steps
