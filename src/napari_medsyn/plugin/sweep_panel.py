"""From one value of a covariate to another in steps: what to sweep, and what to do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_medsyn.plugin.folding import Fold
from napari_medsyn.plugin.widgets import ElidedLabel
from napari_medsyn.plugin.wording import covariates_of
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.controls import Categorical, Continuous, Control, Integer

#: Steps of a sweep: the fewest that are one, the usual number, the most.
_FEWEST, _USUAL, _MOST = 2, 11, 101


class SweepPanel(Fold):
    """Which covariate, from where to where, in how many steps."""

    #: Name of the covariate, and its values in order.
    sweep_asked = Signal(str, object)
    volumes_asked = Signal()
    animation_asked = Signal()

    def __init__(self) -> None:
        super().__init__("Sweep")
        self._controls: dict[str, Control] = {}
        #: Covariate to the ends that the user has given.
        self._ends: dict[str, tuple[float, float]] = {}
        self._ready, self._sweeping, self._bytes_a_step = False, False, 0
        self._build()
        self._connect()
        self.show_savable(False)

    def _build(self) -> None:
        self.covariate = QComboBox()
        self.covariate.setAccessibleName("Covariate to sweep")
        self.first, self.last = _value_box("First value"), _value_box("Last value")
        self.steps = QSpinBox()
        self.steps.setRange(_FEWEST, _MOST)
        self.steps.setValue(_USUAL)
        self.steps.setAccessibleName("Steps")
        self.steps.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.steps.setStyleSheet("min-width: 30px; max-width: 30px;")
        self.sweep = QPushButton("Sweep")
        self.save = QPushButton("Save")
        self.save.setStyleSheet("padding-right: 16px;")
        menu = QMenu(self.save)
        self.save_animation = menu.addAction("Animation (GIF)…", self.animation_asked.emit)
        self.save_volumes = menu.addAction("Volumes (NIfTI)…", self.volumes_asked.emit)
        self.save.setMenu(menu)
        self.amount = ElidedLabel(small=True)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._choice_row())
        column.addWidget(self._span_row())
        last = QHBoxLayout()
        last.setSpacing(4)
        last.addWidget(self.amount, stretch=1)
        last.addWidget(self.sweep)
        last.addWidget(self.save)
        column.addLayout(last)
        self.show_content(content)

    def _choice_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.covariate, stretch=1)
        self.count = QWidget()
        line = QHBoxLayout(self.count)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(QLabel("in"))
        line.addWidget(self.steps)
        line.addWidget(QLabel("steps"))
        row.addWidget(self.count)
        return row

    def _span_row(self) -> QWidget:
        self.span = QWidget()
        line = QHBoxLayout(self.span)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(QLabel("from"))
        line.addWidget(self.first, stretch=1)
        line.addWidget(QLabel("to"))
        line.addWidget(self.last, stretch=1)
        return self.span

    def _connect(self) -> None:
        self.covariate.currentIndexChanged.connect(self._show_ends)
        for box in (self.first, self.last):
            box.valueChanged.connect(self._on_ends)
        self.steps.valueChanged.connect(self._show_size)
        self.sweep.clicked.connect(self._on_sweep)

    # ---- what the session says -----------------------------------------------------

    def show_card(self, card: ModelCard | None) -> None:
        """Offer the covariates of `card`."""
        self._controls = {
            control.name: control
            for control in covariates_of(card)
            if isinstance(control, Continuous | Integer | Categorical)
        }
        self._ends.clear()
        with QSignalBlocker(self.covariate):
            self.covariate.clear()
            for name, control in self._controls.items():
                self.covariate.addItem(control.label, name)
        self._show_ends()

    def show_ready(self, ready: bool, bytes_a_step: int) -> None:
        """Whether there is a patient, or somebody, to sweep; what one step takes of memory."""
        self._ready, self._bytes_a_step = ready, bytes_a_step
        self._show_size()

    def show_sweeping(self, sweeping: bool) -> None:
        """Whether a sweep is under way."""
        self._sweeping = sweeping
        self._show_size()

    def show_savable(self, savable: bool) -> None:
        """Whether there is a sweep to save."""
        self.save.setEnabled(savable)
        self.save.setToolTip(
            "Write the sweep that is shown to files" if savable else "There is no sweep yet"
        )

    # ---- what the user does --------------------------------------------------------

    @property
    def values(self) -> tuple[Any, ...]:
        """The values that a press of the button would sweep through."""
        control = self._controls.get(self.covariate.currentData())
        if control is None:
            return ()
        if isinstance(control, Categorical):
            return tuple(category.value for category in control.categories)
        numbers = np.linspace(self.first.value(), self.last.value(), self.steps.value())
        if isinstance(control, Integer):
            return tuple(dict.fromkeys(round(float(number)) for number in numbers))
        return tuple(float(number) for number in numbers)

    def _show_ends(self, *_: object) -> None:
        """Show the range of the chosen covariate, or the ends that were given for it."""
        control = self._controls.get(self.covariate.currentData())
        is_number = isinstance(control, Continuous | Integer)
        self.span.setVisible(is_number)
        self.count.setVisible(is_number)
        if isinstance(control, Continuous | Integer):
            low, high = self._ends.get(control.name) or _usual_ends(control)
            for box, value in ((self.first, low), (self.last, high)):
                with QSignalBlocker(box):
                    box.setRange(control.minimum, control.maximum)
                    box.setDecimals(0 if control.step >= 1 else 1)
                    box.setSuffix(f" {control.unit}" if control.unit else "")
                    box.setValue(value)
        self._show_size()

    def _on_ends(self, *_: object) -> None:
        self._ends[self.covariate.currentData()] = (self.first.value(), self.last.value())
        self._show_size()

    def _show_size(self, *_: object) -> None:
        """Say how many volumes there will be, and how much memory they take."""
        steps = len(self.values)
        goes = self._ready and not self._sweeping and len(set(self.values)) >= _FEWEST
        self.sweep.setEnabled(goes)
        self.sweep.setToolTip(
            "Compute every step; a slider of its own then moves through them"
            if goes
            else "Invert the patient's scan first"
            if not self._ready
            else "First and last value are the same"
        )
        size = steps * self._bytes_a_step
        memory = f"{size / 1e9:.1f} GB" if size > 1e8 else f"{size / 1e6:.0f} MB"
        self.amount.show_text(f"{steps} volumes, {memory}" if size else f"{steps} volumes")

    def _on_sweep(self) -> None:
        self.sweep_asked.emit(self.covariate.currentData(), self.values)


def _usual_ends(control: Continuous | Integer) -> tuple[float, float]:
    """What the model has seen in training, where the card says it."""
    low, high = control.support or (control.minimum, control.maximum)
    return max(low, control.minimum), min(high, control.maximum)


def _value_box(name: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
    box.setKeyboardTracking(False)
    box.setAccessibleName(name)
    box.setStyleSheet("min-width: 50px;")
    return box


def axis_values(values: Sequence[Any]) -> tuple[float, float]:
    """First value and step of the axis that `values` lie along; categories are counted."""
    if len(values) > 1 and all(isinstance(value, int | float) for value in values):
        step = (float(values[-1]) - float(values[0])) / (len(values) - 1)
        if step and np.allclose(np.diff(values), step, rtol=1e-3):
            return float(values[0]), step
    return 0.0, 1.0


def nearest_step(values: Sequence[Any], controls: Mapping[str, Any], name: str) -> int:
    """Number of the step at which the control stands, or that is nearest to it."""
    value = controls.get(name)
    if value in values:
        return list(values).index(value)
    if isinstance(value, int | float) and all(isinstance(v, int | float) for v in values):
        return int(np.argmin([abs(v - value) for v in values]))
    return 0
