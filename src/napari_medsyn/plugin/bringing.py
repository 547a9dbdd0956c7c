"""Bringing an image of nobody into view: it need not lie where the patient's scan lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer


def bring_into_view(viewer: Viewer, layer: Image) -> None:
    """Show the middle plane of a new `layer`, fitted to the canvas.

    A flat picture has no place in a patient: all other layers are hidden while it is
    shown (they stay in the list, a click brings them back).
    """
    is_flat = layer.data.shape[0] == 1
    if is_flat:
        for other in viewer.layers:
            other.visible = other is layer
    sliced = [axis for axis in viewer.dims.not_displayed if axis >= viewer.dims.ndim - 3]
    for axis in sliced:
        own = axis - (viewer.dims.ndim - 3)
        start, stop = layer.extent.world[:, own]
        viewer.dims.set_point(axis, (start + stop) / 2)
    viewer.reset_view()
