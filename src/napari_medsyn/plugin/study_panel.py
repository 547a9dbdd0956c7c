"""The table of scans: what is loaded, as which modality, and whether the model may read it."""

from __future__ import annotations

from collections.abc import Collection

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_medsyn.plugin.widgets import ElidedLabel, IconButton, Section
from napari_medsyn.scans.display import display_order, tilt_text
from napari_medsyn.scans.study import MODALITIES, Scan, Study

_UNKNOWN = "choose…"


class ScanRow(QWidget):
    """One scan: in use or not, its name and grid, its modality, and a way to remove it."""

    use_changed = Signal(str, bool)
    modality_changed = Signal(str, str)
    remove_asked = Signal(str)

    def __init__(self, scan: Scan) -> None:
        super().__init__()
        self.scan = scan
        self.use = IconButton("eye", "Let the model read this scan", name_off="eye_off")
        self.name = ElidedLabel()
        self.name.show_text(scan.name or "scan")
        self.badge = ElidedLabel(small=True)
        self.badge.show_text(grid_badge(scan))
        self.modality = QComboBox()
        self.modality.addItem(_UNKNOWN, "")
        for modality in MODALITIES:
            self.modality.addItem(modality, modality)
        self.modality.setToolTip("Modality of this scan, as the model should take it")
        self.modality.setAccessibleName(f"Modality of {scan.name}")
        self.modality.setFixedWidth(88)
        self.remove = IconButton("remove", "Remove this scan and its layer")
        self._build()
        self.use.clicked.connect(self._on_use)
        self.modality.activated.connect(self._on_modality)
        self.remove.clicked.connect(self._on_remove)

    def _build(self) -> None:
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(4)
        layout.setVerticalSpacing(0)
        layout.addWidget(self.use, 0, 0, 2, 1)
        layout.addWidget(self.name, 0, 1)
        layout.addWidget(self.badge, 1, 1)
        layout.addWidget(self.modality, 0, 2, 2, 1)
        layout.addWidget(self.remove, 0, 3, 2, 1)
        layout.setColumnStretch(1, 1)

    def show_state(self, scan: Scan, readable: bool, used: bool) -> None:
        """Show the scan's modality and whether it is in use; unusable ones cannot be switched."""
        self.scan = scan
        with QSignalBlocker(self.modality):
            index = self.modality.findData(scan.modality)
            if index < 0:
                self.modality.addItem(scan.modality, scan.modality)
                index = self.modality.count() - 1
            self.modality.setCurrentIndex(index)
        self.use.setEnabled(readable)
        self.use.show_checked(used and readable)
        self.use.setToolTip(
            "Not a modality that this model reads"
            if not readable
            else "The model reads this scan; press to play at missing"
            if used
            else "Taken as missing; press to let the model read this scan"
        )
        self.name.setEnabled(used or not readable)

    def _on_use(self, used: bool) -> None:
        self.use_changed.emit(self.scan.modality, used)

    def _on_modality(self, index: int) -> None:
        self.modality_changed.emit(self.scan.id, self.modality.itemData(index))

    def _on_remove(self) -> None:
        self.remove_asked.emit(self.scan.id)


class StudyPanel(Section):
    """The scans of the study and the ways to add more.

    It asks; the explorer and the session decide, and `show_study` shows what became of it.
    """

    use_changed = Signal(str, bool)
    modality_changed = Signal(str, str)
    remove_asked = Signal(str)
    files_asked = Signal()
    folder_asked = Signal()
    layers_asked = Signal()
    sample_asked = Signal()

    def __init__(self) -> None:
        super().__init__("Scans")
        self.rows: dict[str, ScanRow] = {}
        self._build()

    def _build(self) -> None:
        self.hint = QLabel("Drop scans here, open files, or try the sample patient.")
        self.hint.setWordWrap(True)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setStyleSheet(
            "border: 1px dashed gray; border-radius: 4px; padding: 12px; color: gray;"
        )
        self._table = QVBoxLayout()
        self._table.setSpacing(4)
        self.open = QPushButton("Open…")
        self.open.setToolTip("Open NIfTI, NRRD, MetaImage or DICOM")
        self.open_menu = QMenu(self.open)
        self.open_files = self.open_menu.addAction("Files…", self.files_asked.emit)
        self.open_folder = self.open_menu.addAction("DICOM folder…", self.folder_asked.emit)
        self.open.setMenu(self.open_menu)
        self.use_layers = QPushButton("Use layers")
        self.use_layers.setToolTip(
            "Take the selected image layers as scans, whoever opened them; "
            "their scale and affine are respected"
        )
        self.use_layers.clicked.connect(self.layers_asked)
        self.sample = QPushButton("Sample")
        self.sample.setToolTip("Load the synthetic sample patient: T1 and T2, with a lesion")
        self.sample.clicked.connect(self.sample_asked)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.open, self.use_layers, self.sample):
            buttons.addWidget(button, stretch=1)
        self.body.addWidget(self.hint)
        self.body.addLayout(self._table)
        self.body.addLayout(buttons)

    def show_study(self, study: Study, readable: Collection[str], used: Collection[str]) -> None:
        """Show one row per scan.

        Parameters
        ----------
        study : the scans, in order.
        readable : modalities that the model can read.
        used : those of them that it may read now.
        """
        present = {scan.id for scan in study}
        for scan_id in [key for key in self.rows if key not in present]:
            row = self.rows.pop(scan_id)
            self._table.removeWidget(row)
            row.hide()
            row.deleteLater()
        for scan in study:
            if scan.id not in self.rows:
                self._add_row(scan)
            self.rows[scan.id].show_state(scan, scan.modality in readable, scan.modality in used)
        self.hint.setVisible(not self.rows)

    def _add_row(self, scan: Scan) -> None:
        row = ScanRow(scan)
        row.use_changed.connect(self.use_changed)
        row.modality_changed.connect(self.modality_changed)
        row.remove_asked.connect(self.remove_asked)
        self.rows[scan.id] = row
        self._table.addWidget(row)


def grid_badge(scan: Scan) -> str:
    """Voxel size and, where slices do not follow the body's axes, the tilt."""
    size = " × ".join(f"{round(length, 2):g}" for length in scan.grid.spacing) + " mm"
    tilt = tilt_text(display_order(scan.grid))
    return f"{size} · {tilt}" if tilt else size
