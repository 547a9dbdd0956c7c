"""Searching and narrowing down: what the user wishes to see, as a `Query`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

from qtpy.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QKeyEvent, QResizeEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_medsyn.plugin.models.arranging import Column, Facets, Query
from napari_medsyn.registry.searching import Operator

#: From a letter typed to the search, milliseconds: long enough for the next letter.
DEBOUNCE_MS: Final = 150

_OPERATORS: Final[tuple[tuple[str, Operator, str], ...]] = (
    ("all", "and", "Every word is on the card (AND)"),
    ("any", "or", "At least one of the words is on the card (OR)"),
    ("exactly one", "xor", "Exactly one of the words is on the card (XOR)"),
)

#: Widths from which the choices stand in two rows and in one, pixels.
_TWO_ROWS, _ONE_ROW = 420, 760
_NARROWEST = 260


class FilterBar(QWidget):
    """Search field, operator, choices and switches.

    Signals
    -------
    query_changed : after typing with a short delay, after everything else at once.
    left_downwards : the user went on to the table with the Down key.
    """

    query_changed = Signal()
    left_downwards = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._query = Query()
        self._build()
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(DEBOUNCE_MS)
        self._typing.timeout.connect(self.query_changed)
        self.words.textChanged.connect(lambda _: self._typing.start())
        self.words.returnPressed.connect(self._at_once)
        for choice in (self.operator, self.task, self.modality, self.dim):
            choice.activated.connect(self._at_once)
        self.figure.activated.connect(self._on_figure)
        for switch in (self.fits, self.can_run):
            switch.toggled.connect(self._at_once)

    def _build(self) -> None:
        self.words = QLineEdit()
        self.words.setPlaceholderText("Search all that the cards say")
        self.words.setAccessibleName("Search words")
        self.words.setToolTip(
            "Parts of words will do, upper or lower case. modality:T1 looks at one field; so do "
            "task:, anatomy:, control:, metric:, data:, licence:, author: and others."
        )
        self.words.setClearButtonEnabled(True)
        self.words.installEventFilter(self)
        self.operator = _Choice("How words are joined", "")
        for label, value, tip in _OPERATORS:
            self.operator.addItem(label, value)
            self.operator.setItemData(self.operator.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.operator.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.task = _Choice("Task", "Any task")
        self.modality = _Choice("Modality", "Any modality")
        self.dim = _Choice("2D or 3D", "2D and 3D")
        self.figure = _Choice("Metric", "No metric")
        self.figure.setToolTip("The figure that the table shows; choosing one sorts by it")
        self._choices = (self.task, self.modality, self.dim, self.figure)
        self.fits = QCheckBox("Fits my study")
        self.fits.setToolTip("Only models that can be used on the scans that are loaded")
        self.can_run = QCheckBox("Can run")
        self.can_run.setToolTip("Leave out broken packages and models that are listed only")
        first = QHBoxLayout()
        first.addWidget(self.words, stretch=1)
        first.addWidget(self.operator)
        self._grid = QGridLayout()
        self._columns = 0
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(4)
        outer.addLayout(first)
        outer.addLayout(self._grid)
        self._place(2)

    def query(self) -> Query:
        """What is set now."""
        return replace(
            self._query,
            words=tuple(self.words.text().split()),
            operator=cast("Operator", self.operator.currentData()),
            task=self.task.value,
            modality=self.modality.value,
            dim=self.dim.value,
            metric=self.figure.value,
            fits=self.fits.isChecked(),
            can_run=self.can_run.isChecked(),
        )

    def sort_by(self, column: Column, descending: bool) -> None:
        """Ask for another order of the table."""
        self._query = replace(self._query, sort=column, descending=descending)
        self._at_once()

    def show_facets(self, facets: Facets) -> None:
        """Offer the values that occur; what was chosen stays if it is still one of them."""
        self.task.show_values(facets.tasks)
        self.modality.show_values(facets.modalities)
        self.dim.show_values(facets.dims)
        self.figure.show_values(facets.metrics)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """In the search field, Escape empties it and Down goes on to the table."""
        if watched is self.words and event.type() == QEvent.Type.KeyPress:
            key = cast("QKeyEvent", event).key()
            if key == Qt.Key.Key_Escape and self.words.text():
                self.words.clear()
                return True
            if key == Qt.Key.Key_Down:
                self.left_downwards.emit()
                return True
        return super().eventFilter(watched, event)

    def minimumSizeHint(self) -> QSize:
        """Narrow, however many columns there are now: else the dock could not be made narrower."""
        return QSize(_NARROWEST, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        width = event.size().width()
        self._place(2 if width < _TWO_ROWS else 3 if width < _ONE_ROW else 6)

    def _place(self, columns: int) -> None:
        """Set choices and switches in so many columns."""
        if columns == self._columns:
            return
        self._columns = columns
        for number, widget in enumerate((*self._choices, self.fits, self.can_run)):
            self._grid.addWidget(widget, number // columns, number % columns)
        for column in range(6):
            self._grid.setColumnStretch(column, 1 if column < min(columns, 4) else 0)

    def _on_figure(self) -> None:
        """A figure that was just chosen is what the user wants the models sorted by."""
        if self.figure.value:
            self.sort_by("metric", False)
        elif self._query.sort == "metric":
            self.sort_by("state", False)
        else:
            self._at_once()

    def _at_once(self, *_: object) -> None:
        self._typing.stop()
        self.query_changed.emit()


class _Choice(QComboBox):
    """A list to choose from whose first line, if it has a name, stands for "any"."""

    def __init__(self, name: str, any_of: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        # A long value must not widen the dock.
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        if any_of:
            self.addItem(any_of, "")

    @property
    def value(self) -> str:
        """What is chosen; "" for any."""
        return str(self.currentData() or "")

    def show_values(self, values: Sequence[str]) -> None:
        """Offer other values."""
        chosen = self.value
        with QSignalBlocker(self):
            while self.count() > 1:
                self.removeItem(1)
            for value in values:
                self.addItem(value, value)
            self.setCurrentIndex(max(self.findData(chosen), 0))
