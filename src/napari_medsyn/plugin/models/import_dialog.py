"""Asking for what an importer needs: files, and what they do not say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_medsyn.plugin.models.dialogs import paragraph


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a dialog asks for.

    Parameters
    ----------
    label : of the field.
    option : of the command line; "" for its argument.
    source : whether it is a file, a folder or a word.
    is_needed : whether the import cannot do without.
    hint : what the field shows while it is empty.
    pattern : of the names of files that are offered.
    """

    label: str
    option: str = ""
    source: Literal["file", "folder", "word"] = "file"
    is_needed: bool = True
    hint: str = ""
    pattern: str = "All files (*)"


@dataclass(frozen=True, slots=True)
class Importer:
    """A kind of model that can be imported: `medsyn models import <command>`."""

    command: str
    title: str
    about: str
    asked: tuple[Asked, ...]


_ID: Final = Asked("Id", "--id", "word", False, "from the file's name")
_LICENCE: Final = Asked("Licence", "--licence", "word", False, "SPDX, such as CC-BY-4.0")

IMPORTERS: Final = (
    Importer(
        "mmhvae",
        "MMHVAE checkpoint",
        "A published MMHVAE or MHVAE state dict. Nothing in it is run.",
        (
            Asked("Checkpoint", pattern="Checkpoints (*.pth *.pt *.ckpt);;All files (*)"),
            _ID,
            _LICENCE,
        ),
    ),
    Importer(
        "stylegan",
        "StyleGAN snapshot",
        "A StyleGAN2 or StyleGAN3 snapshot, MSSG's included. Nothing in it is run.",
        (
            Asked("Snapshot", pattern="Snapshots (*.pkl);;All files (*)"),
            Asked("Labels", "--labels", hint="what each label means", pattern="JSON (*.json)"),
            _ID,
            _LICENCE,
        ),
    ),
    Importer(
        "monai-bundle",
        "MONAI bundle",
        "A generative MONAI bundle. Its configuration is read as data, never evaluated.",
        (Asked("Bundle", source="folder"), _ID, _LICENCE),
    ),
    Importer(
        "medigan",
        "medigan registry",
        "Every model of medigan's registry becomes a card. A downloaded package brings code, "
        "which runs only after your consent.",
        (
            Asked("Registry", hint="global.json", pattern="JSON (*.json)"),
            Asked("Package", "--package", "file", False, "a downloaded model", "Archives (*.zip)"),
        ),
    ),
)

#: What was filled in: the argument, and options with their values.
Then = Callable[[Path, Sequence[tuple[str, str]]], None]


class ImportDialog(QDialog):
    """A form for one importer; `then` gets what was filled in."""

    def __init__(self, parent: QWidget | None, importer: Importer, then: Then) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Import: {importer.title}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._importer = importer
        self._then = then
        self.fields: dict[str, QLineEdit] = {}
        form = QFormLayout()
        for asked in importer.asked:
            form.addRow(self._label(asked), self._row(asked))
        choices = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(choices.Cancel)
        self.start = QPushButton("Import")
        self.buttons.addButton(self.start, QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.accepted.connect(self._on_accepted)
        layout = QVBoxLayout(self)
        layout.addWidget(paragraph(importer.about))
        layout.addLayout(form)
        layout.addWidget(self.buttons)
        self._show_ready()

    def sizeHint(self) -> QSize:
        """Wide enough for a path."""
        return QSize(520, super().sizeHint().height())

    def _label(self, asked: Asked) -> QLabel:
        return paragraph(asked.label if asked.is_needed else f"{asked.label} (optional)")

    def _row(self, asked: Asked) -> QWidget:
        field = QLineEdit()
        field.setAccessibleName(asked.label)
        field.setPlaceholderText(asked.hint)
        field.textChanged.connect(lambda _: self._show_ready())
        self.fields[asked.label] = field
        if asked.source == "word":
            return field
        browse = QPushButton("Browse…")
        browse.setAccessibleName(f"Browse for {asked.label}")
        browse.setAutoDefault(False)
        browse.clicked.connect(lambda: self._on_browse(asked, field))
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(field, stretch=1)
        layout.addWidget(browse)
        return row

    def _on_browse(self, asked: Asked, field: QLineEdit) -> None:
        if asked.source == "folder":
            chosen = QFileDialog.getExistingDirectory(self, asked.label, field.text())
        else:
            chosen, _ = QFileDialog.getOpenFileName(self, asked.label, field.text(), asked.pattern)
        if chosen:
            field.setText(chosen)

    def _show_ready(self) -> None:
        needed = (asked for asked in self._importer.asked if asked.is_needed)
        self.start.setEnabled(all(self.fields[asked.label].text().strip() for asked in needed))

    def _on_accepted(self) -> None:
        given = {asked: self.fields[asked.label].text().strip() for asked in self._importer.asked}
        source = next(Path(text) for asked, text in given.items() if not asked.option)
        options = [(asked.option, text) for asked, text in given.items() if asked.option]
        self._then(source, options)
