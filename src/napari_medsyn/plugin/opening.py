"""Opening the other docks of a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.viewer import Viewer


def open_models_dock(viewer: Viewer) -> None:
    """Show the dock with all models, opened if it was not."""
    viewer.window.add_plugin_dock_widget("napari-medsyn", "MedSyn models")
