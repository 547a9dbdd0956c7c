"""How scans get into the study and out of it, and which layer shows which scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QWidget

from napari_medsyn.errors import MedsynError
from napari_medsyn.exploration.session import Session
from napari_medsyn.plugin.bringing import make_room
from napari_medsyn.plugin.dispatch import Background, Outcome
from napari_medsyn.plugin.layers import mark_of
from napari_medsyn.plugin.loading import (
    LayerData,
    Loaded,
    SeriesDialog,
    read_layers,
    read_paths,
    read_sample,
)
from napari_medsyn.plugin.scan_layers import ScanLayers
from napari_medsyn.scans.study import Scan

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.utils.events import Event
    from napari.viewer import Viewer

#: Outputs of a model that are maps, not images of a modality.
_MAPS = ("uncertainty_", "residual_")


class Intake:
    """Reads scans on a thread and keeps the study and the viewer's layers in step.

    Parameters
    ----------
    window : parent of the dialog that asks which series to load.
    viewer, session, background : of the dock.
    say : shows a sentence: text, degree ("good", "note", "bad"), detail.
    say_busy : shows what is being read, "" when it is done.
    """

    def __init__(
        self,
        window: QWidget,
        viewer: Viewer,
        session: Session,
        background: Background,
        say: Callable[[str, str, str], None],
        say_busy: Callable[[str], None],
    ) -> None:
        self._window = window
        self._viewer = viewer
        self._session = session
        self._background = background
        self._say = say
        self._say_busy = say_busy
        self.layers = ScanLayers(viewer)

    # ---- asked for by the user -----------------------------------------------------

    def open_paths(self, paths: Sequence[str | Path]) -> None:
        """Read files and folders on a thread and load the scans they hold."""
        chosen = [Path(path) for path in paths]
        if chosen:
            more = f" and {len(chosen) - 1} more" if len(chosen) > 1 else ""
            self._say_busy(f"Reading {chosen[0].name}{more}…")
            self._background.start(lambda: read_paths(chosen), self._on_read)

    def load_sample(self, then: Callable[[], None] | None = None) -> None:
        """Load the synthetic sample patient; call `then` when its scans are there."""

        def on_read(outcome: Outcome) -> None:
            self._on_read(outcome)
            if outcome.ok and then is not None:
                then()

        self._say_busy("Reading the sample patient…")
        self._background.start(read_sample, on_read)

    def use_selected_layers(self, then: Callable[[], None] | None = None) -> None:
        """Take the selected image layers as scans, whoever opened them; call `then` after."""
        from napari.layers import Image

        selected = [layer for layer in self._viewer.layers if self._is_selected(layer)]
        images = [
            layer
            for layer in selected
            if isinstance(layer, Image) and self.layers.scan_id_of(layer) is None
        ]

        def on_read(outcome: Outcome) -> None:
            self._on_layers_read(outcome)
            if then is not None:
                then()

        if images:
            self._background.start(lambda: read_layers(images), on_read)
        elif then is not None and len(self._session.study):
            then()
        else:
            self._say("Select one or more image layers in the layer list first.", "note", "")

    def remove(self, scan_id: str) -> None:
        """Take a scan out of the study; its layer goes too if one of our readers made it."""
        self.layers.remove(scan_id)
        if any(scan.id == scan_id for scan in self._session.study):
            self._session.remove_scan(scan_id)

    # ---- told by the viewer --------------------------------------------------------

    def on_layer_inserted(self, event: Event) -> None:
        """A layer of one of our readers becomes a scan of the study."""
        self.offer(event.value)

    def on_layer_removed(self, event: Event) -> None:
        """The scan of a layer that the user removes leaves the study."""
        scan_id = self.layers.scan_id_of(event.value)
        if scan_id is not None:
            self.layers.forget(scan_id)
            self.remove(scan_id)

    def offer(self, layer: Layer) -> None:
        """Take `layer` as a scan if one of our readers made it, and of an image."""
        mark = mark_of(layer)
        if mark is None or mark.role != "scan" or not _is_image(mark.scan):
            return
        # napari's "duplicate layer" copies the mark, too: one scan, one layer.
        if self.layers.layer_for(mark.scan.id) is None:
            self._adopt(mark.scan, layer)

    # ---- within --------------------------------------------------------------------

    def _on_read(self, outcome: Outcome) -> None:
        self._say_busy("")
        if not outcome.ok:
            self._say(outcome.message, "bad", outcome.detail)
            return
        loaded: Loaded = outcome.value
        if loaded.refusals:
            self._say(" ".join(loaded.refusals), "bad", "")
        elif loaded.notes:
            self._say(" ".join(loaded.notes), "note", "")
        if loaded.has_choice:
            SeriesDialog(loaded.scans, self._add, self._window).open()
        else:
            self._add(loaded.scans)

    def _add(self, scans: Sequence[tuple[Scan, LayerData]]) -> None:
        from napari.layers import Layer

        image: Layer | None = None
        for _, data in scans:
            # The layer's mark brings the scan into the study: `on_layer_inserted`.
            layer = self._viewer.add_layer(Layer.create(*data))
            if data[-1] == "image":
                image = layer
        if image is not None:
            # Not a label map: keys and mouse would paint into it.
            self._viewer.layers.selection = {image}

    def _on_layers_read(self, outcome: Outcome) -> None:
        if not outcome.ok:
            self._say(outcome.message, "bad", outcome.detail)
            return
        scans, refusals = outcome.value
        if refusals:
            self._say(" ".join(refusals), "bad", "")
        for scan, layer in scans:
            if layer in self._viewer.layers:
                self._adopt(scan, layer)

    def _adopt(self, scan: Scan, layer: Any) -> None:
        """Have `scan` in the study and `layer` show it."""
        other = self._session.study.get(scan.modality) if scan.modality else None
        if other is not None and other.id != scan.id:
            self._say(
                f"{scan.name}: the study has another {scan.modality} already; choose this "
                "scan's modality, or remove one of the two.",
                "note",
                "",
            )
            scan = scan.with_modality("")
        self.layers.adopt(scan, layer)
        try:
            self._session.add_scan(scan)
        except MedsynError as error:
            self.layers.forget(scan.id)
            self._say(str(error), "bad", "")
        else:
            make_room(self._viewer)

    def _is_selected(self, layer: Layer) -> bool:
        return layer in self._viewer.layers.selection


def _is_image(scan: Scan) -> bool:
    """Whether a model could read it: no label map, no map of uncertainty."""
    provenance = scan.facts.get("provenance") or {}
    output = str(provenance.get("output", scan.name))
    return scan.modality != "label" and not (scan.is_synthetic and output.startswith(_MAPS))
