"""Dialogs of the dock; none of them blocks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QFontDatabase, QResizeEvent
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_medsyn.evaluation.checks import Report
from napari_medsyn.plugin.widgets import COLOURS, plain_label
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.consent import CodeFacts

#: What the code gets, and what it does not; see `models.isolated`.
_MAY: Final = (
    "It runs in a process of its own, from a copy that is first compared with these hashes. "
    "Nothing of it is ever loaded into napari.",
    "It is given the values of the controls and gives images. Its memory and its time are "
    "limited, and it ends with the engine.",
)
_MAY_NOT: Final = (
    "It may not use the network, start other programs, or read and write files of yours: on this "
    "computer the operating system refuses that, as far as its kernel can.",
    "It may not use the network, start other programs, or write files of yours. On this system "
    "only Python refuses that: it stops careless code, not code that means to get out.",
)
_VERDICTS: Final = {"ok": COLOURS["good"], "warning": COLOURS["note"], "failed": COLOURS["bad"]}
_UNTIL: Final = "When one byte of the package changes, you are asked again."


def bounds(platform: str) -> tuple[str, ...]:
    """Sentences on what foreign code may do on `platform`, a value of `sys.platform`."""
    return (*_MAY, _MAY_NOT[0 if platform == "linux" else 1], _UNTIL)


def paragraph(text: str) -> QLabel:
    """A label of several lines that shows `text` as it is: nothing is taken for HTML."""
    label = plain_label(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


class Question(QDialog):
    """A question with one button to go on and one to leave it; leaving is the default."""

    def __init__(self, parent: QWidget | None, title: str, text: str, go_on: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.body = QVBoxLayout()
        self.body.addWidget(paragraph(text))
        self.buttons = QDialogButtonBox()
        self.go_on = self.buttons.addButton(go_on, QDialogButtonBox.ButtonRole.AcceptRole)
        self.leave = self.buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        if self.leave is not None and self.go_on is not None:
            self.go_on.setAutoDefault(False)
            self.leave.setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(self.body)
        layout.addWidget(self.buttons)

    def sizeHint(self) -> QSize:
        """Wide enough for a sentence."""
        return QSize(440, super().sizeHint().height())


class ConsentDialog(Question):
    """What a user should see before foreign code runs: where it is, which files, what it may."""

    def __init__(self, parent: QWidget | None, card: ModelCard, facts: CodeFacts) -> None:
        introduction = (
            f"{card.name} {card.version} brings program code of its own, by "
            f"{', '.join(card.authors)}. Nothing of it has been run so far."
        )
        super().__init__(parent, "Trust the code of this model?", introduction, "Trust")
        self.folder = paragraph(f"Folder: {facts.folder}")
        self.body.addWidget(self.folder)
        self.files = _table("Files of the code", ("File", "SHA-256"), facts.files)
        fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        for row in range(self.files.rowCount()):
            item = self.files.item(row, 1)
            if item is not None:
                item.setFont(fixed)
                item.setToolTip(item.text())
        self.body.addWidget(self.files, stretch=1)
        self.body.addWidget(paragraph(f"SHA-256 of the whole package: {facts.sha256}"))
        if card.requires.packages:
            needs = ", ".join(card.requires.packages)
            self.body.addWidget(paragraph(f"Python packages it needs: {needs}"))
        self.body.addWidget(paragraph("\n".join(f"•  {line}" for line in bounds(sys.platform))))

    def sizeHint(self) -> QSize:
        """Wide enough for a name and its hash."""
        return QSize(660, 560)


class ReportDialog(QDialog):
    """The checks of a test, for reading; what is wrong stands out."""

    def __init__(self, parent: QWidget | None, title: str, report: Report) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        lines = [(check.name, check.verdict, check.sentence) for check in report.checks]
        self.table = _table(title, ("Check", "Verdict", "What was seen"), lines)
        self.table.setWordWrap(True)
        for row, check in enumerate(report.checks):
            item = self.table.item(row, 1)
            if item is not None:
                item.setForeground(QColor(_VERDICTS[check.verdict]))
        self._fit_rows()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.addWidget(paragraph(f"{report.model} {report.version}: {report.summary}"))
        layout.addWidget(self.table)
        layout.addWidget(buttons)

    def sizeHint(self) -> QSize:
        """Wide enough for a sentence beside its check."""
        return QSize(760, 460)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give every sentence the lines that it needs in the new width."""
        super().resizeEvent(event)
        self._fit_rows()

    def _fit_rows(self) -> None:
        self.table.resizeColumnToContents(1)
        self.table.resizeRowsToContents()


def _table(name: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> QTableWidget:
    """A table for reading; its last column takes the room that is left."""
    table = QTableWidget(len(lines), len(headings))
    table.setAccessibleName(name)
    table.setHorizontalHeaderLabels(list(headings))
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    for row, line in enumerate(lines):
        for column, text in enumerate(line):
            table.setItem(row, column, QTableWidgetItem(text))
    rows, columns = table.verticalHeader(), table.horizontalHeader()
    if rows is not None and columns is not None:
        rows.hide()
        columns.setStretchLastSection(True)
    table.resizeColumnToContents(0)
    return table
