"""Which plane of the patient is on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medsyn.exploration.requests import Viewport
from napari_medsyn.scans.display import display_order
from napari_medsyn.scans.study import Scan

if TYPE_CHECKING:
    from napari.viewer import Viewer


def displayed_plane(viewer: Viewer, reference: Scan) -> Viewport | None:
    """The plane of `reference` (array axis and index) that the viewer shows.

    None in 3D, where no plane is, and where the axis that is sliced is none of space's
    (a time axis of another layer).  Beyond the scan's end, its last plane.
    """
    dims = viewer.dims
    if dims.ndisplay != 2 or dims.ndim < 3:
        return None
    first = dims.ndim - 3  # a 4D layer beside ours adds axes in front of S, P, L
    sliced = [axis - first for axis in dims.not_displayed if axis >= first]
    if len(sliced) != 1:
        return None
    axis = sliced[0]
    order = display_order(reference.grid)
    index = round((float(dims.point[axis + first]) - order.translate[axis]) / order.scale[axis])
    index = min(max(index, 0), order.shape[axis] - 1)
    return Viewport(*order.to_array_plane(axis, index))
