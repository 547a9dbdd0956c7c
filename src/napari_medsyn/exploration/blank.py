"""What takes a patient's place where a model makes images of nobody: an empty grid.

Everything from the plan to the layers works on the grid of a reference scan.  Without a
scan that is the model's own grid, and nothing has to know the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.study import Scan

if TYPE_CHECKING:
    from napari_medsyn.scans.preparation import PreparedStudy


def blank_scan(grid: Grid) -> Scan:
    """An empty synthetic scan on `grid`; the same `id` for the same grid, and no memory."""
    voxels = np.broadcast_to(np.uint8(0), grid.shape)
    name = f"blank-{grid.shape}-{grid.affine.tobytes().hex()}"
    return Scan(voxels, grid.affine, name="model grid", is_synthetic=True, id=name)


def blank_study(grid: Grid) -> PreparedStudy:
    """A study without scans that is on the model's `grid` already; all of it is inside."""
    from napari_medsyn.scans.preparation import PreparedStudy

    everywhere = np.broadcast_to(np.True_, grid.shape)
    return PreparedStudy(
        volumes={},
        mask=everywhere,
        grid=grid,
        reference=grid,
        reference_mask=everywhere,
        to_model=np.eye(4),
        scales={},
        reference_volumes={},
        steps=(),
        notes=(),
        content_hash="",
    )
