"""Choosing the model and where it runs; what the model is, and whether it fits the study."""

from __future__ import annotations

import html
from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_medsyn.plugin.widgets import FitLine, Section
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
                label = entry.card.name if entry.card else f"{entry.id} (broken)"
                self.models.addItem(label, entry.id)
                tip = entry.card.summary if entry.card else entry.reason
                self.models.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)
                if not entry.can_run:
                    # Item data of role UserRole - 1 are the flags; 0 stands for "disabled".
                    self.models.setItemData(row, 0, Qt.ItemDataRole.UserRole - 1)
            self.models.setCurrentIndex(self.models.findData(chosen))
        self.models.setEnabled(bool(entries))

    def has(self, model_id: str) -> bool:
        """Whether the menu lists that model."""
        return self.models.findData(model_id) >= 0

    def show_card(self, card: ModelCard | None) -> None:
        """Show which model is chosen."""
        self.card = card
        self.about.setEnabled(card is not None)
        if card is not None:
            with QSignalBlocker(self.models):
                self.models.setCurrentIndex(self.models.findData(card.id))
            self.models.setToolTip(card.summary)

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
        if self.card is not None:
            if self.dialog is not None:
                self.dialog.deleteLater()
            self.dialog = CardDialog(self.card, self)
            self.dialog.show()


class CardDialog(QDialog):
    """What a model card says, for reading."""

    def __init__(self, card: ModelCard, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"{card.name} {card.version}")
        self.text = QTextBrowser()
        self.text.setOpenExternalLinks(True)
        self.text.setHtml(card_html(card))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(buttons)

    def sizeHint(self) -> QSize:
        """Wide enough for the table of figures."""
        return QSize(620, 640)


def card_html(card: ModelCard) -> str:
    """The card as simple HTML; every text of the card is escaped."""
    text = html.escape
    figures = "".join(
        f"<tr><td>{text(m.name)}</td><td align='right'>{m.value:g}</td>"
        f"<td>{text(m.data_set)} (n = {m.n})</td><td>{text(m.note or '')}</td></tr>"
        for m in card.metrics
    )
    data = "".join(
        f"<li>{text(d.name)}, n = {d.n}, {text(d.licence)}. {text(d.citation)}</li>"
        for d in card.training_data
    )
    limits = "".join(f"<li>{text(limit)}</li>" for limit in card.limitations)
    shape = " × ".join(str(size) for size in card.grid.shape)
    blocks = [
        f"<h2>{text(card.name)} {text(card.version)}</h2><p>{text(card.summary)}</p>",
        f"<h3>Intended use</h3><p>{text(card.intended_use)}</p>",
        f"<h3>Limitations</h3><ul>{limits}</ul>",
        f"<h3>Reads and gives</h3><p>Any {card.min_inputs} or more of "
        f"{text(', '.join(card.inputs))}; gives {text(', '.join(card.outputs))} on a grid of "
        f"{shape} voxels ({text(card.grid.space)}).</p>",
        f"<h3>Measured quality</h3><table cellpadding='4'>{figures}</table>" if figures else "",
        f"<h3>Trained on</h3><ul>{data}</ul>",
        f"<h3>Licence</h3><p>{text(card.licence)}</p>",
        f"<h3>Authors</h3><p>{text(', '.join(card.authors))}</p><p>{text(card.citation)}</p>",
    ]
    return "".join(blocks)
