"""The places where napari's public names differ between the versions we support (0.7 to 0.9)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer


def grid(viewer: Viewer) -> Any:
    """The viewer's grid mode: `enabled`, `stride`, `shape`."""
    canvas = getattr(viewer, "canvas", None)
    return canvas.grid if canvas is not None else viewer.grid


def text_overlay(viewer: Viewer) -> Any:
    """The text that lies over the canvas: `text`, `visible`, `position`, …."""
    canvas = getattr(viewer, "canvas", None)
    return canvas.overlays.text if canvas is not None else viewer.text_overlay


def camera(viewer: Viewer) -> Any:
    """The viewer's camera: `orientation2d`, `zoom`, `center`."""
    scene = getattr(viewer, "scene", None)
    return scene.camera if scene is not None else viewer.camera


def show_layer_name(layer: Layer, visible: bool) -> None:
    """Write the layer's name on the canvas, where napari can (from 0.9)."""
    overlay = getattr(layer, "name_overlay", None)
    if overlay is not None:
        overlay.visible = visible


def plain_viewer(viewer: Viewer) -> Viewer:
    """The viewer itself, not the proxy that napari hands to a plugin's widget.

    Behind the proxy every layer is a new proxy too, so that no layer can be told from
    another by identity.
    """
    return getattr(viewer, "__wrapped__", viewer)


def binding_warning() -> str:
    """What is wrong with this pair of Python and Qt binding; "" where nothing is known."""
    import qtpy

    version = getattr(qtpy, "PYSIDE_VERSION", None)
    if version == "6.12.0" and sys.version_info < (3, 12):
        return (
            "PySide6 6.12.0 ends in a crash on this version of Python; please install another "
            "one, for instance PyQt6, and restart napari."
        )
    return ""
