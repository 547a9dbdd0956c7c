"""Which layer shows which scan of the study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medsyn.plugin.layers import KEY, Mark, mark_of
from napari_medsyn.scans.study import Scan, Study

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer


class ScanLayers:
    """Scan id to layer, for the layers of one viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layers: dict[str, Layer] = {}

    def layer_for(self, scan_id: str) -> Layer | None:
        """The layer that shows that scan, if it is in the viewer."""
        return self._layers.get(scan_id)

    def scan_id_of(self, layer: object) -> str | None:
        """The id of the scan that `layer` shows, if it shows one of the study."""
        return next((key for key, shown in self._layers.items() if shown is layer), None)

    def adopt(self, scan: Scan, layer: Layer) -> None:
        """From now on `layer` shows `scan`."""
        self._layers[scan.id] = layer

    def forget(self, scan_id: str) -> None:
        """That scan has no layer any more."""
        self._layers.pop(scan_id, None)

    def remove(self, scan_id: str) -> None:
        """Remove the scan's layer, if one of our readers made it; others' layers stay."""
        layer = self._layers.pop(scan_id, None)
        if layer is not None and mark_of(layer) is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def show_modalities(self, study: Study) -> None:
        """Have the marks say what the study says of each scan."""
        for scan in study:
            layer = self._layers.get(scan.id)
            mark = mark_of(layer) if layer is not None else None
            if layer is not None and mark is not None and mark.scan is not scan:
                layer.metadata[KEY] = Mark("scan", scan, scan.modality)
