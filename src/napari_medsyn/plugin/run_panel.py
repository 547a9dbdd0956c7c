"""Start, follow and stop the computation; go back and forth; save."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_medsyn.exploration.requests import Progress
from napari_medsyn.plugin.widgets import FitLine, IconButton, ProgressLine

#: The one button that stands out; white on this blue reads on dark and light themes.
_PRIMARY = (
    "QPushButton:enabled { background-color: #3d5fc4; color: white; font-weight: bold; }"
    "QPushButton:enabled:hover { background-color: #4c6fd6; }"
    "QPushButton:enabled:pressed { background-color: #34519f; }"
)


#: What the button does: find the patient in the model, or compute one of three kinds.
Action = Literal["impute", "generate", "invert", "counterfactual"]

#: What the button says, and its tooltip.
_ACTIONS: Final[Mapping[Action, tuple[str, str]]] = {
    "impute": ("Impute", "Compute the missing modalities"),
    "generate": ("Generate", "Make an image as the controls say"),
    "invert": (
        "Invert",
        "Find this patient in the model; the controls then stand at the patient's own values",
    ),
    "counterfactual": ("Counterfactual", "Compute this patient as the controls say"),
}


#: What a phase looks like that says how far it is.
_COUNTED: Final = re.compile(r"\d of \d")


class RunPanel(QWidget):
    """The buttons that compute and the bar that tells how far it is."""

    impute_asked = Signal()
    invert_asked = Signal()
    cancel_asked = Signal()
    undo_asked = Signal()
    redo_asked = Signal()
    save_asked = Signal()
    live_changed = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._build()
        self.show_running(False)
        self.show_reconstruction(None)

    def _build(self) -> None:
        self.impute = QPushButton("Impute")
        self.impute.setStyleSheet(_PRIMARY)
        self.impute.clicked.connect(self.impute_asked)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop; the results of before are kept")
        self.cancel.clicked.connect(self.cancel_asked)
        self.live = QCheckBox("Live")
        self.live.setToolTip("Compute at once whenever a scan or a control changes")
        self.live.toggled.connect(self.live_changed)
        self.undo = IconButton("undo", "Undo the last change of a control")
        self.undo.clicked.connect(self.undo_asked)
        self.redo = IconButton("redo", "Redo")
        self.redo.clicked.connect(self.redo_asked)
        self.save = QPushButton("Save…")
        self.save.setToolTip("Write the results as NIfTI with their provenance into a folder")
        self.save.clicked.connect(self.save_asked)
        self.bar = ProgressLine()
        self.fidelity = FitLine()
        self.fidelity.setToolTip(
            "PSNR in the brain of the scan as the model rebuilds it, beside the scan itself; "
            "what the model cannot rebuild is kept from the scan"
        )
        self.again = QPushButton("Invert again")
        self.again.setToolTip("Find this patient anew, with what is stated of the patient")
        self.again.setStyleSheet("font-size: 9pt; padding: 1px 6px;")
        self.again.clicked.connect(self.invert_asked)
        self.reconstruction = QWidget()
        third = QHBoxLayout(self.reconstruction)
        third.setContentsMargins(0, 0, 0, 0)
        third.setSpacing(4)
        third.addWidget(self.fidelity, stretch=1)
        third.addWidget(self.again, alignment=Qt.AlignmentFlag.AlignVCenter)
        first = QHBoxLayout()
        first.setSpacing(4)
        first.addWidget(self.impute, stretch=3)
        first.addWidget(self.cancel, stretch=2)
        second = QHBoxLayout()
        second.setSpacing(4)
        second.addWidget(self.live)
        second.addStretch(1)
        second.addWidget(self.undo)
        second.addWidget(self.redo)
        second.addWidget(self.save, alignment=Qt.AlignmentFlag.AlignRight)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(first)
        layout.addWidget(self.bar)
        layout.addWidget(self.reconstruction)
        layout.addLayout(second)

    def show_ready(self, ready: bool, reason: str, *, action: Action = "impute") -> None:
        """Whether there is something to compute, and what; `reason` says why not."""
        text, tip = _ACTIONS[action]
        self.impute.setText(text)
        self.impute.setEnabled(ready)
        self.impute.setToolTip(tip if ready else reason)

    def show_reconstruction(self, psnr_db: float | None, warning: str = "") -> None:
        """How well the model can show this patient, in dB; None before an inversion."""
        self.reconstruction.setVisible(psnr_db is not None)
        if psnr_db is not None:
            said = f"Reconstruction {psnr_db:.1f} dB" + (f": {warning}" if warning else "")
            self.fidelity.show_text(said, "note" if warning else "good")

    def show_running(self, running: bool) -> None:
        """Whether there is something to cancel."""
        self.cancel.setEnabled(running)
        self.bar.show_progress(None if running else 0.0, "")

    def show_progress(self, progress: Progress) -> None:
        """How far the computation is; without a known length, that it moves."""
        # A phase may count by itself: "Inverting 3 of 20".
        counts = progress.total > 1 and not _COUNTED.search(progress.phase)
        steps = f" · {progress.done} of {progress.total}" if counts else ""
        share = progress.done / progress.total if progress.total else None
        self.bar.show_progress(share, f"{progress.phase}{steps}")

    def show_phase(self, text: str) -> None:
        """Say what is being read or saved; "" when it is done."""
        self.bar.show_progress(None if text else 0.0, text)

    def show_history(self, can_undo: bool, can_redo: bool) -> None:
        """Whether there is something to undo or redo."""
        self.undo.setEnabled(can_undo)
        self.redo.setEnabled(can_redo)

    def show_live(self, live: bool) -> None:
        """Whether changes are computed at once."""
        with QSignalBlocker(self.live):
            self.live.setChecked(live)

    def show_savable(self, savable: bool) -> None:
        """Whether there is a result to save."""
        self.save.setEnabled(savable)
