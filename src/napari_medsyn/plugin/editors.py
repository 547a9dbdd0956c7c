"""One editor per kind of control that a model card may declare."""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Sequence
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QWidget,
)

from napari_medsyn.plugin.marked_slider import MarkedSlider
from napari_medsyn.plugin.widgets import AMBER_FIELD, IconButton, IconLabel, tooltip
from napari_medsyn.plugin.wording import NOT_KNOWN, value_text
from napari_medsyn.registry.controls import (
    Boolean,
    Categorical,
    Continuous,
    Control,
    Integer,
    ModalitySet,
    Seed,
)

#: Qt's spin boxes count in 32 bits with a sign; a card's seeds may go beyond.
_LARGEST_SPIN = 2**31 - 1

#: Narrowest and widest box beside a slider, pixels.
_NUMBER_WIDTHS = (52, 76)

#: Most steps of a slider.
_MOST_STEPS = 100_000


class Editor(QWidget):
    """Base of the editors: shows a value and tells when the user gives another one."""

    #: The user's new value, in the control's own type.
    edited = Signal(object)

    #: Whether it takes the whole width, its label above.
    is_wide = False

    def __init__(self, control: Control) -> None:
        super().__init__()
        self.control = control
        self.setToolTip(tooltip(control.help))
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(6)

    def show_value(self, value: Any) -> None:
        """Show `value` without telling anyone."""
        raise NotImplementedError

    def show_own(self, value: Any) -> None:
        """Mark the patient's own value, None where it is not known; most editors cannot."""

    def show_amber(self, amber: bool) -> None:
        """Show that the value is beyond what the model has seen, or that it is not."""


class SliderEditor(Editor):
    """A slider with its number beside it; arrow keys move one step, Page ten.

    A plain slider over whole steps: superqt's sliders for real numbers ignore the keyboard.
    """

    def __init__(self, control: Continuous) -> None:
        super().__init__(control)
        self._minimum, self._maximum = control.minimum, control.maximum
        span = control.maximum - control.minimum
        # Qt counts steps in 32 bits, and no hand tells a hundred thousand of them apart.
        self._step = max(control.step, span / _MOST_STEPS)
        self._decimals = _decimals(self._step)
        self._own: float | None = None
        self.slider = MarkedSlider()
        self.slider.setRange(0, round(span / self._step))
        self.slider.setPageStep(10)
        self.slider.setAccessibleName(control.label)
        self.number = QDoubleSpinBox()
        self.number.setRange(control.minimum, control.maximum)
        self.number.setDecimals(self._decimals)
        self.number.setSingleStep(control.step)
        self.number.setSuffix(f" {control.unit}" if control.unit else "")
        self.number.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.number.setKeyboardTracking(False)
        self.number.setAccessibleName(control.label)
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight)
        longest = max(control.minimum, control.maximum, key=lambda end: len(f"{end:.0f}"))
        text = f"{longest:.{min(self._decimals, 2)}f}{self.number.suffix()}"
        needed = self.number.fontMetrics().horizontalAdvance(text) + 8
        self._number_width = round(within(needed, *_NUMBER_WIDTHS))
        self.show_amber(False)
        self.slider.valueChanged.connect(self._on_moved)
        self.slider.mark_asked.connect(lambda: self.edited.emit(self._own))
        self.number.valueChanged.connect(self._on_typed)
        self.row.addWidget(self.slider, stretch=1)
        self.row.addWidget(self.number)

    def show_value(self, value: Any) -> None:
        with QSignalBlocker(self.slider), QSignalBlocker(self.number):
            self.slider.setValue(round((value - self._minimum) / self._step))
            self.number.setValue(value)

    def show_own(self, value: Any) -> None:
        self._own = value
        tip = "" if value is None else f"This patient: {value_text(self.control, value)}"
        step = None if value is None else round((value - self._minimum) / self._step)
        self.slider.show_mark(step, tip)

    def show_amber(self, amber: bool) -> None:
        # napari's style sheet wants a wider box, and a style sheet is what outdoes it.
        width, colour = self._number_width, AMBER_FIELD if amber else ""
        self.number.setStyleSheet(f"min-width: {width}px; max-width: {width}px; {colour}")

    def _on_moved(self, steps: int) -> None:
        if self._own is not None and steps == self.slider.mark:
            # The patient's value need not be a whole step, and only at it nothing is changed.
            self.edited.emit(self._own)
        else:
            self._tell(self._minimum + steps * self._step)

    def _on_typed(self, value: float) -> None:
        self._tell(value)

    def _tell(self, value: float) -> None:
        # The ends of a card's range need not be whole steps.
        rounded = round(value, self._decimals)
        self.edited.emit(within(rounded, self._minimum, self._maximum))


class SpinEditor(Editor):
    """A whole number."""

    def __init__(self, control: Integer) -> None:
        super().__init__(control)
        self.spin = _spin_box(control.minimum, control.maximum, control.label)
        self.spin.setSingleStep(min(control.step, _LARGEST_SPIN))
        self.spin.valueChanged.connect(self.edited.emit)
        self.row.addWidget(self.spin)

    def show_value(self, value: Any) -> None:
        with QSignalBlocker(self.spin):
            self.spin.setValue(int(within(value, -_LARGEST_SPIN, _LARGEST_SPIN)))


class SeedEditor(Editor):
    """The seed, and a button that draws another one."""

    def __init__(self, control: Seed) -> None:
        super().__init__(control)
        self.spin = _spin_box(0, _LARGEST_SPIN, control.label)
        self.spin.valueChanged.connect(self.edited.emit)
        self.renew = IconButton("dice", "Draw a new seed")
        self.renew.clicked.connect(self._on_renew)
        self.lock = IconLabel("lock")
        self.lock.setVisible(False)
        self.row.addWidget(self.spin, stretch=1)
        self.row.addWidget(self.lock)
        self.row.addWidget(self.renew)

    def show_lock(self, tip: str) -> None:
        """Show a lock beside the number, with what the seed keeps as its tooltip."""
        self.lock.setToolTip(tooltip(tip))
        self.spin.setToolTip(tooltip(tip))
        self.lock.setVisible(True)

    def show_value(self, value: Any) -> None:
        with QSignalBlocker(self.spin):
            self.spin.setValue(min(int(value), _LARGEST_SPIN))

    def _on_renew(self) -> None:
        # Four digits can be read aloud and typed again; they are seeds enough for one scan.
        self.spin.setValue(secrets.randbelow(10_000))


class TickEditor(Editor):
    """Yes or no."""

    def __init__(self, control: Boolean) -> None:
        super().__init__(control)
        self.box = QCheckBox()
        self.box.setAccessibleName(control.label)
        self.box.toggled.connect(self.edited.emit)
        self.row.addWidget(self.box)

    def show_value(self, value: Any) -> None:
        with QSignalBlocker(self.box):
            self.box.setChecked(value)


class ChoiceEditor(Editor):
    """One of a few named choices."""

    control: Categorical

    def __init__(self, control: Categorical) -> None:
        super().__init__(control)
        self.combo = QComboBox()
        self.combo.setAccessibleName(control.label)
        # A long name must not widen the dock.
        self.combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.combo.setMinimumContentsLength(6)
        for category in control.categories:
            self.combo.addItem(category.label, category.value)
        if control.unknown:
            self.combo.addItem(NOT_KNOWN, None)
        self.combo.currentIndexChanged.connect(
            lambda index: self.edited.emit(self.combo.itemData(index))
        )
        self.row.addWidget(self.combo, stretch=1)

    def show_value(self, value: Any) -> None:
        with QSignalBlocker(self.combo):
            last = self.combo.count() - 1
            self.combo.setCurrentIndex(last if value is None else self.combo.findData(value))

    def show_own(self, value: Any) -> None:
        for row, category in enumerate(self.control.categories):
            is_own = value is not None and category.value == value
            self.combo.setItemText(row, f"• {category.label}" if is_own else category.label)
        self.combo.setToolTip("" if value is None else "• this patient")


class ModalitiesEditor(Editor):
    """A button for each modality, pressed for those that belong to the set."""

    def __init__(self, control: ModalitySet) -> None:
        super().__init__(control)
        self.row.setSpacing(3)
        self.buttons: dict[str, QPushButton] = {}
        for modality in control.choices:
            button = QPushButton(modality)
            button.setCheckable(True)
            button.setMinimumWidth(36)
            button.clicked.connect(self._on_clicked)
            self.row.addWidget(button)
            self.buttons[modality] = button

    def show_value(self, value: Sequence[str] | None) -> None:
        for modality, button in self.buttons.items():
            with QSignalBlocker(button):
                button.setChecked(modality in (value or ()))

    def show_unavailable(self, modalities: Collection[str], reason: str) -> None:
        """Grey the buttons of `modalities`; `reason` becomes their tooltip."""
        for modality, button in self.buttons.items():
            button.setEnabled(modality not in modalities)
            button.setToolTip(tooltip(reason if modality in modalities else self.control.help))

    def _on_clicked(self) -> None:
        chosen = tuple(name for name, button in self.buttons.items() if button.isChecked())
        self.edited.emit(chosen)


def make_editor(control: Control) -> Editor | None:
    """The editor for `control`; None for a kind that no editor exists for."""
    makers: dict[type, type[Editor]] = {
        Continuous: SliderEditor,
        Integer: SpinEditor,
        Seed: SeedEditor,
        Boolean: TickEditor,
        Categorical: ChoiceEditor,
        ModalitySet: ModalitiesEditor,
    }
    maker = makers.get(type(control))
    return maker(control) if maker else None


def within(value: float, minimum: float, maximum: float) -> float:
    """`value`, or the end of the range that it lies beyond."""
    return min(max(value, minimum), maximum)


def _spin_box(minimum: int, maximum: int, name: str) -> QSpinBox:
    spin = QSpinBox()
    spin.setRange(max(minimum, -_LARGEST_SPIN), min(maximum, _LARGEST_SPIN))
    spin.setAccessibleName(name)
    # Typing "16" must not ask for 1 on the way.
    spin.setKeyboardTracking(False)
    return spin


def _decimals(step: float) -> int:
    """Digits behind the point that tell multiples of `step` apart."""
    most = max(6, -math.floor(math.log10(step)))
    text = f"{step:.{most}f}".rstrip("0")
    return len(text.partition(".")[2])
