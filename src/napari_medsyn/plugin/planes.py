"""Axial, coronal or sagittal, each the way radiologists hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QWidget

from napari_medsyn.plugin.adapters import camera
from napari_medsyn.plugin.connections import Connections
from napari_medsyn.plugin.layers import mark_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

#: Order of the axes S, P, L: the one that is sliced, then rows, then columns.
_ORDERS: Final = {"Axial": (0, 1, 2), "Coronal": (1, 0, 2), "Sagittal": (2, 0, 1)}
_SUPERIOR: Final = 0


class PlaneSwitch(QWidget):
    """Three buttons for the plane on screen, pressed as the viewer's axes say."""

    def __init__(self, viewer: Viewer, connections: Connections) -> None:
        super().__init__()
        self._viewer = viewer
        self.buttons = {name: QPushButton(name) for name in _ORDERS}
        group = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for name, button in self.buttons.items():
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, name=name: self.show_plane(name))
            group.addButton(button)
            row.addWidget(button)
        connections.add(viewer.dims.events.order, self._follow)
        connections.add(viewer.dims.events.ndisplay, self._follow)
        connections.add(viewer.layers.events.inserted, self._follow)
        self._follow()

    def show_plane(self, name: str) -> None:
        """Show the "Axial", "Coronal" or "Sagittal" planes and fit them to the canvas."""
        dims = self._viewer.dims
        dims.ndisplay = 2
        first = max(dims.ndim - 3, 0)
        dims.order = (*range(first), *(first + axis for axis in _ORDERS[name]))
        self._viewer.reset_view()

    def _follow(self, *_: object) -> None:
        dims = self._viewer.dims
        spatial = tuple(axis - (dims.ndim - 3) for axis in dims.order[-3:])
        for name, button in self.buttons.items():
            button.setChecked(dims.ndisplay == 2 and spatial == _ORDERS[name])
        if dims.ndisplay == 2 and any(mark_of(layer) for layer in self._viewer.layers):
            # napari draws rows downwards; nobody wants a patient upside down.
            upright = "up" if spatial[-2:][0] == _SUPERIOR else "down"
            camera(self._viewer).orientation2d = (upright, "right")
