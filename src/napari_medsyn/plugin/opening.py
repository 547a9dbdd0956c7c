"""Opening the other docks of a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_medsyn.plugin.models.dock import ModelsDock


def open_models_dock(viewer: Viewer) -> ModelsDock:
    """The viewer's dock with all models, opened if it was not."""
    _, dock = viewer.window.add_plugin_dock_widget("napari-medsyn", "MedSyn models")
    return cast("ModelsDock", dock)
