"""Choosing the model and where it runs; what the model is, and whether it fits the study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_medsyn.plugin.models.card_page import page_html
from napari_medsyn.plugin.models.details import CardBrowser
from napari_medsyn.plugin.widgets import FitLine, Section, tooltip
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Entry

#: What the device menu offers: label, value of a request.
_DEVICES = (("Automatic", "auto"), ("CPU", "cpu"), ("GPU (CUDA)", "cuda"))


class ModelPanel(Section):
    """Model and device; it asks by signals, `show_*` shows what the session says."""

    model_chosen = Signal(str)
    models_asked = Signal()
    device_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__("Model")
        self.card: ModelCard | None = None
        self.package: Path | None = None
        self.dialog: CardDialog | None = None
        self._build()
        self.models.activated.connect(self._on_model)
        self.devices.activated.connect(self._on_device)
        self.about.clicked.connect(self._on_about)
        self.all.clicked.connect(self.models_asked)

    def _build(self) -> None:
        self.models = QComboBox()
        self.models.setAccessibleName("Model")
        # A long model name must not widen the dock.
        self.models.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.models.setMinimumContentsLength(8)
        self.models.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.about = QPushButton("Card…")
        self.about.setToolTip("Intended use, limitations, licence and measured quality")
        self.about.setEnabled(False)
        self.all = QPushButton("All…")
        self.all.setToolTip("Find, compare, install and check models")
        self.devices = QComboBox()
        self.devices.setAccessibleName("Device")
        self.devices.setToolTip("Where the model runs; Automatic takes the GPU if there is one")
        for label, value in _DEVICES:
            self.devices.addItem(label, value)
        self.fit = FitLine()
        self.state = QLabel()
        self.state.setWordWrap(True)
        first = QHBoxLayout()
        first.addWidget(self.models, stretch=1)
        first.addWidget(self.about)
        first.addWidget(self.all)
        second = QHBoxLayout()
        second.addWidget(QLabel("Run on"))
        second.addWidget(self.devices)
        second.addWidget(self.state, stretch=1)
        self.body.addLayout(first)
        self.body.addWidget(self.fit)
        self.body.addLayout(second)

    def show_models(self, entries: Sequence[Entry], chosen: str) -> None:
        """List the catalogue; a broken package is there, greyed, with the reason as tooltip."""
        with QSignalBlocker(self.models):
            self.models.clear()
            for row, entry in enumerate(entries):
                facts = entry.facts
                self.models.addItem(facts.name if facts else f"{entry.id} (broken)", entry.id)
                tip = facts.summary if facts else entry.reason
                self.models.setItemData(row, tooltip(tip), Qt.ItemDataRole.ToolTipRole)
                if not entry.can_run:
                    # Item data of role UserRole - 1 are the flags; 0 stands for "disabled".
                    self.models.setItemData(row, 0, Qt.ItemDataRole.UserRole - 1)
            self.models.setCurrentIndex(self.models.findData(chosen))
        self.models.setEnabled(bool(entries))

    def has(self, model_id: str) -> bool:
        """Whether the menu lists that model."""
        return self.models.findData(model_id) >= 0

    def show_model(self, card: ModelCard | None, package: Path | None) -> None:
        """Show which model is chosen."""
        self.card, self.package = card, package
        self.about.setEnabled(card is not None)
        if card is not None:
            with QSignalBlocker(self.models):
                self.models.setCurrentIndex(self.models.findData(card.id))
            self.models.setToolTip(tooltip(card.summary))

    def show_device(self, device: str) -> None:
        """Show which device is chosen."""
        with QSignalBlocker(self.devices):
            self.devices.setCurrentIndex(max(self.devices.findData(device), 0))

    def show_state(self, text: str) -> None:
        """Show what the engine is doing."""
        self.state.setText(text)

    def _on_model(self, index: int) -> None:
        self.model_chosen.emit(self.models.itemData(index))

    def _on_device(self, index: int) -> None:
        self.device_chosen.emit(self.devices.itemData(index))

    def _on_about(self) -> None:
        if self.card is not None and self.package is not None:
            if self.dialog is not None:
                self.dialog.deleteLater()
            self.dialog = CardDialog(self.card, self.package, self)
            self.dialog.show()


class CardDialog(QDialog):
    """What a model card says, for reading."""

    def __init__(self, card: ModelCard, package: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"{card.name} {card.version}")
        self.text = CardBrowser()
        self.text.setHtml(page_html(card, package))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(buttons)

    def sizeHint(self) -> QSize:
        """Wide enough for the table of figures."""
        return QSize(620, 640)
