"""Sliders along latent directions: ten at a time, every one within reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_medsyn.plugin.editors import Editor, within
from napari_medsyn.plugin.widgets import tooltip
from napari_medsyn.registry.controls import Latent

#: Sliders on screen at a time.
ROWS: Final = 10

#: The sliders' step, in the latent's own unit; a standard deviation has twenty.
_STEP: Final = 0.05


#: Narrowest and widest column of the directions' names, in pixels.
_NAME_WIDTHS: Final = (72, 130)


class LatentEditor(Editor):
    """A slider for each direction of one group, and a menu of the groups.

    At 0 a direction is where the seed has drawn it.
    """

    is_wide = True

    def __init__(self, control: Latent) -> None:
        super().__init__(control)
        self._names = control.directions
        # Where the range leaves 0 out, its nearest end is as near as one gets to the seed.
        self._rest = min(max(0.0, control.minimum), control.maximum)
        self._values = [self._rest] * len(self._names)
        self.groups = QComboBox()
        self.groups.setAccessibleName(f"Group of {control.label}")
        for start in range(0, len(self._names), ROWS):
            stop = min(start + ROWS, len(self._names))
            self.groups.addItem(f"{start + 1} to {stop} of {len(self._names)}", start)
        self.groups.currentIndexChanged.connect(self._show_group)
        self.zero = QPushButton()
        self.show_of_patient(False)
        self.zero.clicked.connect(self._on_zero)
        width = max(self.fontMetrics().horizontalAdvance(name) for name in self._names) + 20
        width = round(within(width, *_NAME_WIDTHS))
        self.rows = [LatentRow(control, width) for _ in self._names[:ROWS]]
        for number, row in enumerate(self.rows):
            row.moved.connect(lambda value, number=number: self._on_moved(number, value))
        self._lay_out()
        self._show_group()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.groups, stretch=1)
        head.addWidget(self.zero)
        # One group needs no menu.
        self.groups.setVisible(self.groups.count() > 1)
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addLayout(head)
        for row in self.rows:
            column.addWidget(row)
        self.row.addLayout(column)

    def show_of_patient(self, of_patient: bool) -> None:
        """Say whose latent lies at 0: a patient's, or that of somebody made up."""
        whose = "the patient" if of_patient else "the seed"
        self.zero.setText(f"Back to {whose}")
        self.zero.setToolTip(f"Put every direction back to where {whose} has it")

    @property
    def _start(self) -> int:
        return int(self.groups.currentData())

    def show_value(self, value: Sequence[float]) -> None:
        self._values = [float(number) for number in value] or [self._rest] * len(self._names)
        self._show_group()

    def _show_group(self, *_: Any) -> None:
        for number, row in enumerate(self.rows):
            place = self._start + number
            row.setVisible(place < len(self._names))
            if place < len(self._names):
                row.show_direction(self._names[place], self._values[place])
        self._show_whether_moved()

    def _show_whether_moved(self) -> None:
        self.zero.setEnabled(any(value != self._rest for value in self._values))

    def _on_moved(self, number: int, value: float) -> None:
        self._values[self._start + number] = value
        self._show_whether_moved()
        self.edited.emit(tuple(self._values))

    def _on_zero(self) -> None:
        self.show_value(())
        self.edited.emit(tuple(self._values))


class LatentRow(QWidget):
    """One direction: its name, a slider whose middle is 0, and the number."""

    moved = Signal(float)

    def __init__(self, control: Latent, name_width: int) -> None:
        super().__init__()
        self._range = (control.minimum, control.maximum)
        self.name = QElidingLabel()
        self.name.setFixedWidth(name_width)
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(round(control.minimum / _STEP), round(control.maximum / _STEP))
        self.slider.setPageStep(10)
        self.number = QDoubleSpinBox()
        self.number.setRange(control.minimum, control.maximum)
        self.number.setSingleStep(_STEP)
        self.number.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.number.setKeyboardTracking(False)
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight)
        # As in `SliderEditor`: napari's style sheet wants a wider box.
        self.number.setStyleSheet("min-width: 44px; max-width: 44px;")
        self.slider.valueChanged.connect(self._on_slid)
        self.number.valueChanged.connect(self._on_typed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.name)
        row.addWidget(self.slider, stretch=1)
        row.addWidget(self.number)

    def show_direction(self, name: str, value: float) -> None:
        """Show another direction, or another value, without telling anyone."""
        self.name.setText(name)
        self.name.setToolTip(tooltip(name))
        self.slider.setAccessibleName(name)
        self.number.setAccessibleName(name)
        with QSignalBlocker(self.slider), QSignalBlocker(self.number):
            self.slider.setValue(round(value / _STEP))
            self.number.setValue(value)

    def _on_slid(self, steps: int) -> None:
        # The ends of a card's range need not be whole steps.
        value = within(round(steps * _STEP, 2), *self._range)
        with QSignalBlocker(self.number):
            self.number.setValue(value)
        self.moved.emit(value)

    def _on_typed(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(value / _STEP))
        self.moved.emit(within(round(value, 2), *self._range))
