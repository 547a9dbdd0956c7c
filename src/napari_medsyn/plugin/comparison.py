"""Looking at scan and result together: side by side, by blinking, with the uncertainty.

Also keeps the word SYNTHETIC on the canvas while a synthetic layer is to be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QGridLayout, QPushButton

from napari_medsyn.plugin.adapters import grid, show_layer_name, text_overlay
from napari_medsyn.plugin.connections import Connections
from napari_medsyn.plugin.layers import SYNTHETIC, mark_of
from napari_medsyn.plugin.planes import PlaneSwitch
from napari_medsyn.plugin.widgets import Section

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.utils.events import Event
    from napari.viewer import Viewer

_BLINK_KEY = "Q"
_OVERLAY_KEY = "U"


class Comparison(Section):
    """Switches for the ways to compare; acts on the layers of one viewer."""

    def __init__(self, viewer: Viewer, connections: Connections) -> None:
        super().__init__("View")
        self._viewer = viewer
        self._connections = connections
        self._named: list[Layer] = []
        self._stride_before: int | None = None
        self._blinked: list[Layer] = []
        #: What the mark on the canvas says besides; "" for nothing.
        self.remark: Callable[[], str] = str
        self._build()
        self._follow_viewer()
        self.show_counterfactuals(False)
        self._show_state()

    def _build(self) -> None:
        self.side_by_side = _switch(
            "Side by side", "Every visible layer in a cell of its own, one camera for all"
        )
        self.uncertainty = _switch(
            f"Uncertainty  ({_OVERLAY_KEY})",
            "Standard deviation over posterior samples, laid over the imputed modality",
        )
        self.residual = _switch(
            "Residual", "|reconstruction − scan| of the modalities that the model read"
        )
        self.difference = _switch(
            f"Difference  ({_OVERLAY_KEY})",
            "Counterfactual − scan, laid over it: orange is brighter, blue is darker",
        )
        self.jacobian = _switch(
            "Volume change", "Orange has grown, blue has shrunk: logarithm of the volume ratio"
        )
        self.blink = QPushButton(f"Blink  ({_BLINK_KEY})")
        self.blink.setToolTip("Hold to look at the scans beneath the synthetic layers")
        self.side_by_side.toggled.connect(self._on_side_by_side)
        self.overlays = {
            "uncertainty": self.uncertainty,
            "residual": self.residual,
            "difference": self.difference,
            "jacobian": self.jacobian,
        }
        for role, button in self.overlays.items():
            button.toggled.connect(lambda on, role=role: self._set_visible(role, on))
        self.blink.pressed.connect(self._hide_synthetic)
        self.blink.released.connect(self._show_again)
        self.planes = PlaneSwitch(self._viewer, self._connections)
        self.body.addWidget(self.planes)
        layout = QGridLayout()
        layout.setSpacing(4)
        layout.addWidget(self.side_by_side, 0, 0)
        layout.addWidget(self.blink, 0, 1)
        for number, button in enumerate(self.overlays.values()):
            layout.addWidget(button, 1 + number // 2, number % 2)
        self.body.addLayout(layout)

    def _follow_viewer(self) -> None:
        self._connections.on_close(self._restore)
        layers = self._viewer.layers
        self._connections.add(layers.events.inserted, self._on_inserted)
        self._connections.add(layers.events.removed, self._on_removed)
        self._connections.add(grid(self._viewer).events.enabled, self._show_cells)
        for layer in layers:
            self._connections.add(layer.events.visible, self._show_state)
        self._bind(_BLINK_KEY, self._blink_while_held)
        self._bind(_OVERLAY_KEY, self._toggle_overlay)

    def show_counterfactuals(self, on: bool) -> None:
        """Offer the maps of a counterfactual, or those of an imputation."""
        for role, button in self.overlays.items():
            button.setVisible((role in ("difference", "jacobian")) == on)

    def show_side_by_side(self, on: bool) -> None:
        """Show every visible layer in its own cell, or all in one."""
        self.side_by_side.setChecked(on)

    # ---- what the user does --------------------------------------------------------

    def _on_side_by_side(self, on: bool) -> None:
        cells = grid(self._viewer)
        if on:
            self._stride_before = cells.stride
            cells.stride = 1
        elif self._stride_before is not None:
            cells.stride = self._stride_before
        cells.enabled = on
        self._viewer.reset_view()

    def _toggle_overlay(self, _viewer: object) -> None:
        """What the key shows: the difference of a counterfactual, else the uncertainty."""
        of_patient = self.difference.isVisibleTo(self)
        (self.difference if of_patient else self.uncertainty).click()

    def _blink_while_held(self, _viewer: object) -> Iterator[None]:
        self._hide_synthetic()
        yield
        self._show_again()

    def _hide_synthetic(self) -> None:
        if self._blinked:
            return
        self._blinked = [
            layer for layer in self._viewer.layers if layer.visible and _is_result(layer)
        ]
        for layer in self._blinked:
            layer.visible = False

    def _show_again(self) -> None:
        for layer in self._blinked:
            layer.visible = True
        self._blinked = []

    # ---- what the viewer says ------------------------------------------------------

    def _on_inserted(self, event: Event) -> None:
        self._connections.add(event.value.events.visible, self._show_state)
        self._show_state()

    def _on_removed(self, event: Event) -> None:
        self._connections.remove(event.value.events.visible, self._show_state)
        self._show_state()

    def _show_state(self, *_: object) -> None:
        """Bring buttons, names and the mark on the canvas in line with the layers."""
        roles = {
            mark.role
            for layer in self._viewer.layers
            if layer.visible and (mark := mark_of(layer)) is not None
        }
        for role, button in self.overlays.items():
            with QSignalBlocker(button):
                button.setChecked(role in roles)
            button.setEnabled(any(_has_role(layer, role) for layer in self._viewer.layers))
        self.show_mark()
        self._show_names()

    def _show_cells(self, *_: object) -> None:
        """Follow napari's own grid button."""
        with QSignalBlocker(self.side_by_side):
            self.side_by_side.setChecked(grid(self._viewer).enabled)
        self._show_names()

    def show_mark(self) -> None:
        """Write on the canvas that something on it is synthetic, and which step of a sweep."""
        synthetic = any(
            layer.visible and (mark := mark_of(layer)) is not None and mark.is_synthetic
            for layer in self._viewer.layers
        )
        overlay = text_overlay(self._viewer)
        ours = overlay.text.startswith(SYNTHETIC)
        if synthetic and not ours and overlay.text:
            return  # the user's own text stays; layer names and files carry the mark as well
        if synthetic:
            said = [SYNTHETIC, self.remark(), "research use, not for diagnosis"]
            overlay.text = " · ".join(filter(None, said))
            overlay.position = "bottom_right"
            overlay.color = (0.93, 0.58, 0.13, 1.0)  # reads on black and on white
            overlay.font_size = 10
            overlay.visible = True
        elif ours:
            overlay.visible = False
            overlay.text = ""

    def _show_names(self) -> None:
        """In cells the layers' names are needed; in one picture they would lie on each other."""
        named = list(self._viewer.layers) if self.side_by_side.isChecked() else []
        for layer in self._named:
            if layer not in named:
                show_layer_name(layer, False)
        for layer in named:
            show_layer_name(layer, True)
        self._named = named

    def _set_visible(self, role: str, visible: bool) -> None:
        """Show or hide a role's layers; in one picture only that of the image on top."""
        layers = [layer for layer in self._viewer.layers if _has_role(layer, role)]
        cells = grid(self._viewer).enabled
        if visible and role == "uncertainty":
            seen = self._imputed_in_sight()
            wanted = seen if cells else seen[-1:]
            layers = [layer for layer in layers if _modality(layer) in wanted] or layers[-1:]
        elif visible and not cells:
            # A sweep's maps have an axis more than those of a single counterfactual.
            axes = self._axes_in_sight()
            layers = [layer for layer in layers if layer.ndim == axes][:1] or layers[:1]
        for layer in layers:
            layer.visible = visible
        self._show_state()
        if cells:
            self._viewer.reset_view()

    def _axes_in_sight(self) -> int:
        """How many axes the topmost visible counterfactual has; 3 without one."""
        seen = (x for x in reversed(self._viewer.layers) if x.visible)
        return next((layer.ndim for layer in seen if _has_role(layer, "counterfactual")), 3)

    def _imputed_in_sight(self) -> list[str]:
        """Modalities of the imputed layers that are visible, the topmost last."""
        return [
            _modality(layer)
            for layer in self._viewer.layers
            if layer.visible and _has_role(layer, "imputed")
        ]

    def _bind(self, key: str, function: object) -> None:
        self._viewer.bind_key(key, function, overwrite=True)
        self._connections.on_close(lambda: self._viewer.bind_key(key, None))

    def _restore(self) -> None:
        """Leave the viewer as it would be without the dock."""
        self._show_again()
        for layer in self._named:
            show_layer_name(layer, False)
        if self._stride_before is not None:
            cells = grid(self._viewer)
            cells.enabled, cells.stride = False, self._stride_before


def _switch(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setCheckable(True)
    button.setToolTip(tip)
    return button


def _has_role(layer: Layer, role: str) -> bool:
    mark = mark_of(layer)
    return mark is not None and mark.role == role


def _modality(layer: Layer) -> str:
    mark = mark_of(layer)
    return mark.modality if mark is not None else ""


def _is_result(layer: Layer) -> bool:
    mark = mark_of(layer)
    return mark is not None and mark.role != "scan"
