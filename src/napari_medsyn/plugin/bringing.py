"""Bringing an image of nobody into view: it need not lie where the patient's scan lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_medsyn.plugin.adapters import camera
from napari_medsyn.plugin.layers import mark_of

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer


def bring_into_view(viewer: Viewer, layer: Image) -> None:
    """Show the middle plane of a new `layer`, fitted to the canvas.

    A flat picture has no place in a patient: all other layers are hidden while it is
    shown (they stay in the list, a click brings them back).
    """
    if _is_flat(layer):
        for other in viewer.layers:
            other.visible = other is layer
    _show_middle(viewer, layer)


def make_room(viewer: Viewer) -> None:
    """Hide flat pictures of nobody, now that the viewer has a patient's scan to show."""
    pictures = [layer for layer in viewer.layers if layer.visible and _is_flat_picture(layer)]
    for picture in pictures:
        picture.visible = False
    if pictures:
        _show_middle(viewer, viewer.layers[-1])


def _is_flat_picture(layer: Layer) -> bool:
    mark = mark_of(layer)
    return mark is not None and mark.role == "generated" and _is_flat(layer)


def _is_flat(layer: Layer) -> bool:
    return bool(layer.data.shape[-3] == 1)


def _show_middle(viewer: Viewer, layer: Layer) -> None:
    """Show the middle plane of `layer`, fitted to the canvas."""
    sliced = [axis for axis in viewer.dims.not_displayed if axis >= viewer.dims.ndim - 3]
    for axis in sliced:
        own = axis - (viewer.dims.ndim - layer.ndim)
        start, stop = layer.extent.world[:, own]
        viewer.dims.set_point(axis, (start + stop) / 2)
    _fit(viewer, layer)


def _fit(viewer: Viewer, layer: Layer) -> None:
    """Fit `layer` to the canvas: napari itself fits all layers together, hidden ones too."""
    viewer.reset_view()
    shown = [axis - viewer.dims.ndim for axis in viewer.dims.displayed]
    extent, own = viewer.layers.extent, layer.extent
    whole = np.ptp(extent.world, axis=0) + extent.step
    part = np.ptp(own.world, axis=0) + own.step
    ratios = [whole[axis] / part[axis] for axis in shown if part[axis] > 0]
    view = camera(viewer)
    view.zoom *= min(ratios, default=1.0)
    middle = own.world.mean(axis=0)
    view.center = tuple(middle[axis] for axis in shown)
