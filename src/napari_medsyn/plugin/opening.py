"""Opening the other docks of a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qtpy.QtWidgets import QDockWidget, QWidget

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_medsyn.plugin.models.dock import ModelsDock


def open_models_dock(viewer: Viewer) -> ModelsDock:
    """The viewer's dock with all models, opened if it was not, in front."""
    # A tab: below each other, neither dock would have the room it needs.
    _, dock = viewer.window.add_plugin_dock_widget("napari-medsyn", "MedSyn models", tabify=True)
    bring_to_front(dock)
    return cast("ModelsDock", dock)


def bring_to_front(widget: QWidget) -> None:
    """Show the dock that holds `widget`, before those that share its place."""
    parent: QWidget | None = widget
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    if parent is not None:
        parent.show()
        parent.raise_()
