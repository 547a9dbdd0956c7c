"""Which plane of the patient is on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medsyn.exploration.requests import Viewport
from napari_medsyn.scans.display import to_display
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
    shown = to_display(reference)
    sliced = [axis - (dims.ndim - 3) for axis in dims.not_displayed]
    # A 4D layer beside ours adds axes in front of S, P, L.
    spatial = [axis for axis in sliced if axis >= 0]
    if len(spatial) != 1:
        return None
    axis = spatial[0]
    world = float(dims.point[axis + dims.ndim - 3])
    index = round((world - shown.translate[axis]) / shown.scale[axis])
    last = shown.array.shape[axis] - 1
    index = min(max(index, 0), last)
    if shown.flips[axis]:
        index = last - index
    return Viewport(shown.axis_order[axis], index)
