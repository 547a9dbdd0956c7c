"""What is known of the patient: stated before an inversion, or estimated by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLineEdit, QWidget

from napari_medsyn.plugin.widgets import tooltip
from napari_medsyn.plugin.wording import covariates_of, number_text, value_text
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.controls import Categorical, Continuous, Control, Integer

#: What people know of a patient without measuring; the other covariates are estimated.
STATED: Final = ("age", "sex")

_TIP: Final = "Stated before the inversion it is taken as true; left open it is estimated (~)."


class PersonRow(QWidget):
    """A field for each covariate that a person can state of the patient."""

    #: Name and value that the user states; None takes a statement back.
    stated = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, _NumberField | _ChoiceField] = {}
        self._line = QHBoxLayout(self)
        self._line.setContentsMargins(0, 0, 0, 0)
        self._line.setSpacing(5)
        title = QLabel("Patient")
        title.setToolTip(tooltip(_TIP))
        self._line.addWidget(title)
        self._line.addStretch(1)

    def show_card(self, card: ModelCard | None) -> None:
        """Make the fields for the covariates of `card`."""
        for field in self.fields.values():
            self._line.removeWidget(field)
            field.hide()
            field.deleteLater()
        self.fields.clear()
        for control in covariates_of(card):
            made = _field(control) if control.name in STATED else None
            if made is not None:
                self._line.addWidget(made)
                made.stated.connect(lambda value, name=control.name: self.stated.emit(name, value))
                self.fields[control.name] = made

    def show_person(self, known: Mapping[str, Any], own: Mapping[str, Any] | None) -> None:
        """Show what is stated (`known`) and, where nothing is, what was estimated (`own`)."""
        for name, field in self.fields.items():
            stated = known.get(name)
            field.show_value(stated, (own or {}).get(name) if stated is None else None)


class _NumberField(QWidget):
    """A number that may be left open."""

    stated = Signal(object)

    def __init__(self, control: Continuous | Integer) -> None:
        super().__init__()
        self.control = control
        self._shown = ""
        self.edit = QLineEdit()
        self.edit.setAccessibleName(f"{control.label} of this patient")
        self.edit.setFixedWidth(46)
        self.edit.setToolTip(tooltip(f"{control.label} of this patient. {_TIP}"))
        self.edit.editingFinished.connect(self._on_edited)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(QLabel(control.label))
        line.addWidget(self.edit)

    def show_value(self, stated: Any, estimated: Any) -> None:
        """Show the number stated or, fainter, the one estimated."""
        self._shown = "" if stated is None else number_text(stated, 0.1)
        with QSignalBlocker(self.edit):
            self.edit.setText(self._shown)
        if estimated is None:
            self.edit.setPlaceholderText(getattr(self.control, "unit", "") or "?")
        else:
            self.edit.setPlaceholderText(f"~{number_text(estimated, self.control.step)}")

    def _on_edited(self) -> None:
        text = self.edit.text().strip().replace(",", ".")
        if text == self._shown:
            return
        try:
            value = float(text) if text else None
        except ValueError:
            self.edit.setText(self._shown)
            return
        self._shown = text
        self.stated.emit(value)


class _ChoiceField(QWidget):
    """One of a few choices, or left open."""

    stated = Signal(object)

    def __init__(self, control: Categorical) -> None:
        super().__init__()
        self.control = control
        self.combo = QComboBox()
        self.combo.addItem("?", None)
        for category in control.categories:
            self.combo.addItem(category.label, category.value)
        self.combo.setAccessibleName(f"{control.label} of this patient")
        self.combo.setToolTip(tooltip(f"{control.label} of this patient. {_TIP}"))
        self.combo.setStyleSheet("min-width: 62px;")
        self.combo.activated.connect(lambda row: self.stated.emit(self.combo.itemData(row)))
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(QLabel(control.label))
        line.addWidget(self.combo)

    def show_value(self, stated: Any, estimated: Any) -> None:
        """Show the choice stated or, as the open entry, the one estimated."""
        guess = "?" if estimated is None else f"~{value_text(self.control, estimated)}"
        self.combo.setItemText(0, guess)
        self.combo.setCurrentIndex(0 if stated is None else self.combo.findData(stated))


def _field(control: Control) -> _NumberField | _ChoiceField | None:
    if isinstance(control, Continuous | Integer):
        return _NumberField(control)
    return _ChoiceField(control) if isinstance(control, Categorical) else None
