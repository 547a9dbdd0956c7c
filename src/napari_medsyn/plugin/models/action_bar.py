"""Buttons: what can be done with the selected model, and how models come in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget
from superqt import QFlowLayout

from napari_medsyn.plugin.models.import_dialog import IMPORTERS
from napari_medsyn.plugin.widgets import ElidedLabel, ProgressLine, tooltip

if TYPE_CHECKING:
    from napari_medsyn.plugin.models.rows import Row


class ModelActions(QWidget):
    """What can be done with the selected model; a button that cannot be pressed says why."""

    def __init__(self) -> None:
        super().__init__()
        self.use = QPushButton("Use this model")
        self.verify = QPushButton("Verify")
        self.test = QPushButton("Test")
        self.trust = QPushButton("Trust…")
        self.set_up = QPushButton("Set up…")
        self.copy = QPushButton("Copy as BibTeX")
        self.remove = QPushButton("Remove…")
        layout = QFlowLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        first = (self.use, self.verify, self.test, self.trust, self.set_up)
        for button in (*first, self.copy, self.remove):
            layout.addWidget(button)
        self._row: Row | None = None
        self._is_running = False
        self.show_row(None)

    def show_row(self, row: Row | None) -> None:
        """Offer what can be done with `row`."""
        self._row = row
        self._show()

    def show_running(self, running: bool) -> None:
        """Offer nothing that changes or reads packages while a job does so."""
        self._is_running = running
        self._show()

    def _show(self) -> None:
        row, free = self._row, not self._is_running
        state = row.badge.state if row is not None else "broken"
        runs = row is not None and row.entry.can_run
        self.use.setEnabled(row is not None and row.is_usable)
        self.use.setToolTip(tooltip(why_not_used(row)))
        self.verify.setEnabled(free and row is not None)
        self.verify.setToolTip("Compare every file of the package with the hashes on its card")
        self.test.setEnabled(free and runs and not state.startswith("needs"))
        self.test.setToolTip("Compare with its golden output; try its controls, seeds and limits")
        self.trust.setVisible(row is not None and row.has_code)
        is_trusted = state not in ("needs consent", "not checked")
        self.trust.setText("Withdraw trust" if is_trusted else "Trust…")
        self.trust.setEnabled(free and state != "not checked")
        self.set_up.setVisible(state == "needs packages")
        self.set_up.setEnabled(free)
        self.set_up.setToolTip("Make an environment with what the code needs, apart from napari's")
        self.copy.setEnabled(row is not None and row.entry.is_usable)
        self.copy.setToolTip("Put the citation on the clipboard")
        own = row is not None and not row.entry.is_embedded
        self.remove.setEnabled(free and own)
        self.remove.setToolTip(
            "Delete the package from your models" if own else "It came with napari-medsyn"
        )


class CatalogueActions(QWidget):
    """How models come in; how far a job is, and the button that stops it."""

    file_asked = Signal()
    folder_asked = Signal()
    import_asked = Signal(object)
    refresh_asked = Signal()
    cancel_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.count = ElidedLabel(small=True)
        self.install = _menu_button("Install", "Add a package to your models; dropping it does so")
        menu = QMenu(self.install)
        _add(menu, "Package file (zip, card.json)…", lambda: self.file_asked.emit())
        _add(menu, "Package folder…", lambda: self.folder_asked.emit())
        self.install.setMenu(menu)
        self.importing = _menu_button("Import", "Turn somebody else's model into a package")
        menu = QMenu(self.importing)
        for importer in IMPORTERS:
            _add(menu, f"{importer.title}…", partial(self.import_asked.emit, importer))
        self.importing.setMenu(menu)
        self.refresh = QPushButton("Refresh")
        self.refresh.setToolTip("Look at the folders again (F5)")
        self.refresh.clicked.connect(self.refresh_asked)
        self.progress = ProgressLine()
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(self.cancel_asked)
        self._lay_out()
        self.show_running(False)

    def _lay_out(self) -> None:
        self.running = QWidget()
        line = QHBoxLayout(self.running)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.progress, stretch=1)
        line.addWidget(self.cancel)
        buttons = QHBoxLayout()
        buttons.addWidget(self.install)
        buttons.addWidget(self.importing)
        buttons.addWidget(self.refresh)
        buttons.addWidget(self.count, stretch=1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addLayout(buttons)
        outer.addWidget(self.running)

    def show_running(self, running: bool) -> None:
        """Offer either to start a job or to stop the one that runs."""
        self.running.setVisible(running)
        for button in (self.install, self.importing, self.refresh):
            button.setEnabled(not running)

    def show_progress(self, share: float | None, text: str) -> None:
        """Show how far the job is."""
        self.progress.show_progress(share, text)


def _menu_button(text: str, tip: str) -> QPushButton:
    button = QPushButton(f"{text} ▾")
    button.setToolTip(tip)
    button.setAccessibleName(text)
    # The arrow that Qt would draw lies over the text in napari's style.
    button.setStyleSheet("QPushButton::menu-indicator { image: none; width: 0; }")
    return button


def _add(menu: QMenu, text: str, ask: Callable[[], object]) -> None:
    action = menu.addAction(text)
    if action is not None:
        action.triggered.connect(lambda: ask())


def why_not_used(row: Row | None) -> str:
    """Why a model cannot be chosen; for one that can, how."""
    if row is None:
        return "Select a model"
    if row.is_usable:
        return "Choose it in the MedSyn dock (Return)"
    if row.entry.is_judge and row.badge.state != "broken":
        return "It measures images and makes none; `medsyn judge` runs it."
    return row.badge.sentence
