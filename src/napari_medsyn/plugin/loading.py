"""The ways scans come in: files, folders, layers of others, the sample patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_medsyn.errors import MedsynError
from napari_medsyn.plugin.layers import scan_from_layer, scan_layer_data
from napari_medsyn.plugin.study_panel import grid_badge
from napari_medsyn.scans.study import Scan

if TYPE_CHECKING:
    from napari.layers import Image

#: What the file dialog offers.
FILE_FILTER = (
    "Scans (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm);;All files, also DICOM without "
    "ending (*)"
)

#: Endings of files that hold a scan each; any other may be one slice of many.
_ONE_SCAN = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")

#: Array, keywords and type of a layer, as napari's readers give them.
LayerData = tuple[Any, dict[str, Any], str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Scans that were read, each with its layer, and a sentence per file that was not."""

    scans: tuple[tuple[Scan, LayerData], ...] = ()
    refusals: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the readers think the user should know."""
        return tuple(note for scan, _ in self.scans for note in scan.facts.get("notes", ()))

    @property
    def has_choice(self) -> bool:
        """Whether one file or folder gave several scans, so that the user is asked which."""
        sources = [scan.source for scan, _ in self.scans if scan.source is not None]
        return len(set(sources)) < len(sources)


def read_paths(paths: Sequence[Path]) -> Loaded:
    """Read every scan of files and folders; slow, so for a worker thread.

    DICOM files that were chosen together are put together to series.
    """
    from napari_medsyn.scans.reading import read_scans

    slices = [path for path in paths if path.is_file() and _may_be_slice(path)]
    others = [path for path in paths if path not in slices]
    scans: list[Scan] = []
    refusals: list[str] = []
    for chosen in ([slices] if slices else []) + others:
        try:
            scans += read_scans(chosen)
        except MedsynError as error:
            refusals.append(str(error))
    return _with_layers(scans, refusals)


def read_sample() -> Loaded:
    """Read the synthetic sample patient, its lesion mask hidden; for a worker thread."""
    from napari_medsyn.scans.sample import sample_study

    loaded = _with_layers(list(sample_study()), [])
    for _, (_, keywords, kind) in loaded.scans:
        keywords["visible"] = kind == "image"
    return loaded


def read_layers(layers: Sequence[Image]) -> tuple[list[tuple[Scan, Image]], list[str]]:
    """Scans of layers that are in the viewer, with a sentence for each that is none.

    Lazy arrays are computed here, so it is for a worker thread.
    """
    from napari_medsyn.scans.modality import guess_modality

    scans: list[tuple[Scan, Image]] = []
    refusals: list[str] = []
    for layer in layers:
        try:
            scan = scan_from_layer(layer)
        except MedsynError as error:
            refusals.append(str(error))
            continue
        if not scan.modality:
            scan = scan.with_modality(guess_modality(layer.name, scan.facts))
        scans.append((scan, layer))
    return scans, refusals


def _may_be_slice(path: Path) -> bool:
    return not path.name.lower().endswith(_ONE_SCAN)


def _with_layers(scans: Sequence[Scan], refusals: Sequence[str]) -> Loaded:
    # Contrast limits are found here, where nobody waits.
    return Loaded(tuple((scan, scan_layer_data(scan)) for scan in scans), tuple(refusals))


def dropped_paths(event: QDropEvent) -> list[str]:
    """Files and folders that are dragged over or dropped on a widget."""
    data = event.mimeData()
    urls = data.urls() if data is not None else []
    return [url.toLocalFile() for url in urls if url.isLocalFile()]


class SeriesDialog(QDialog):
    """Which of several series to load; it never blocks, `then` gets those that were ticked."""

    def __init__(
        self,
        scans: Sequence[tuple[Scan, LayerData]],
        then: Callable[[list[tuple[Scan, LayerData]]], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Choose the scans to load")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._scans = list(scans)
        self._then = then
        self.list = QListWidget()
        self._items: list[QListWidgetItem] = []
        for scan, _ in self._scans:
            item = QListWidgetItem(_describe(scan))
            # What the model cannot know is not ticked, but may be.
            known = bool(scan.modality)
            item.setCheckState(Qt.CheckState.Checked if known else Qt.CheckState.Unchecked)
            self.list.addItem(item)
            self._items.append(item)
        choices = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(choices.Ok | choices.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.accepted.connect(self._on_accepted)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(f"{len(self._scans)} series were found:"))
        layout.addWidget(self.list)
        layout.addWidget(self.buttons)

    def sizeHint(self) -> QSize:
        """Wide enough for a series description and its grid."""
        return QSize(520, 320)

    def _on_accepted(self) -> None:
        ticked = [
            pair
            for row, pair in enumerate(self._scans)
            if self._items[row].checkState() == Qt.CheckState.Checked
        ]
        self._then(ticked)


def _describe(scan: Scan) -> str:
    shape = " × ".join(str(size) for size in scan.voxels.shape)
    modality = scan.modality or "modality unknown"
    return f"{scan.name or 'series'}  ·  {modality}  ·  {shape}  ·  {grid_badge(scan)}"
