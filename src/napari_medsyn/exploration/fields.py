"""Several fields of the model's grid, interpolated together where the patient's voxels are.

A displacement, its Jacobian and the changes of intensity are wanted at the same places.  One
by one, each would find the same eight neighbours and the same weights again, and that is what
the interpolation costs.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.scans.preparation.resampling import index_map

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_medsyn.scans.preparation import PreparedStudy

Volume = NDArray[np.float32]


class Fields:
    """`count` fields on the grid of a model, all 0 at first.

    Parameters
    ----------
    prepared : knows the model's grid and the way from the reference grid.
    count : how many fields.
    """

    def __init__(self, prepared: PreparedStudy, count: int) -> None:
        self._to_model = index_map(prepared.grid, prepared.reference, prepared.to_model)
        # A border of zeros goes around: beyond the model's grid there is nothing.
        self._last = np.array(prepared.grid.shape)[:, None] + 1
        self._values = np.zeros((*(n + 2 for n in prepared.grid.shape), count), np.float32)

    def put(self, field: int, slices: Sequence[int], values: NDArray[Any]) -> None:
        """Set slices of a field.

        Parameters
        ----------
        field : its number.
        slices : along the last axis of the model's grid.
        values : (X, Y, len(slices)).
        """
        self._values[1:-1, 1:-1, [k + 1 for k in slices], field] = values

    def at(self, indices: NDArray[Any]) -> Volume:
        """All fields at voxels of the reference grid, by linear interpolation.

        Parameters
        ----------
        indices : (3, n).

        Returns
        -------
        (count, n) float32; exact where a voxel lies on one of the model's.
        """
        places = self._to_model[:3, :3] @ indices + self._to_model[:3, 3:] + 1
        np.clip(places, 0, self._last, out=places)
        cells = np.minimum(places.astype(np.intp), self._last - 1)
        ahead = (places - cells).astype(np.float32)
        shares = np.stack([1 - ahead, ahead])
        *shape, count = self._values.shape
        table = self._values.reshape(-1, count)
        steps = np.array([shape[1] * shape[2], shape[2], 1])
        flat = steps @ cells
        total = np.zeros((indices.shape[1], count), np.float32)
        for corner in product((0, 1), repeat=3):
            x, y, z = corner
            share = shares[x, 0] * shares[y, 1] * shares[z, 2]
            total += share[:, None] * table.take(flat + steps @ np.array(corner), axis=0)
        return total.T
