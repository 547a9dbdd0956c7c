"""What the user may turn: the controls that the model's card declares, and the preparation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QWidget

from napari_medsyn.exploration.controls import PRESENT, TARGETS
from napari_medsyn.exploration.requests import PreparationOptions
from napari_medsyn.plugin.covariate_editor import CovariateEditor, covariate_editor, is_covariate
from napari_medsyn.plugin.editors import Editor, ModalitiesEditor, SeedEditor, make_editor
from napari_medsyn.plugin.folding import Fold
from napari_medsyn.plugin.hint_strip import HintStrip
from napari_medsyn.plugin.latent_editor import LatentEditor
from napari_medsyn.plugin.person_row import PersonRow
from napari_medsyn.plugin.widgets import AMBER_EDGE, Section, plain_label, tooltip
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.controls import Control, Latent

#: Controls that say how a person is drawn who is made up.
_DRAWN: Final = ("seed", "truncation", "mixing", "mixing_seed")

#: Why a patient's covariates cannot be turned yet.
_WAITS: Final = "Invert first: the controls then stand at this patient's own values"


class ControlPanel(Section):
    """The card's controls, one row each, built anew when another model is chosen."""

    #: Name and value of the control that the user has turned.
    control_changed = Signal(str, object)
    options_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__("Controls")
        self.editors: dict[str, Editor] = {}
        self._labels: dict[str, QWidget] = {}
        self._shown: list[QWidget] = []
        self._form = QWidget()
        self._rows = _form_layout(self._form)
        self.preparation = PreparationForm()
        self.preparation.options_changed.connect(self.options_changed)
        self.person = PersonRow()
        self.hints = HintStrip()
        self.person.setVisible(False)
        self.body.addWidget(self.person)
        self.body.addWidget(self._form)
        self.body.addWidget(self.hints)
        self.body.addWidget(self.preparation)

    def show_card(self, card: ModelCard | None) -> None:
        """Build the editors for the controls of `card`."""
        for widget in self._shown:
            self._rows.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self._shown.clear()
        self.editors.clear()
        self._labels.clear()
        for control in card.controls if card is not None else ():
            # What the model may read is switched beside each scan.
            editor = None if card is None or control.name == PRESENT else _editor(control, card)
            if card is not None and editor is not None:
                self._add_row(control, editor, is_folded=editor.is_wide and bool(card.covariates))
        self.person.show_card(card)
        # Room for hints is kept where there may be some, so that nothing jumps.
        self.hints.setVisible(card is not None and card.label_model is not None)
        # Nothing is prepared for a model that reads no scan.
        self.preparation.setVisible(card is None or bool(card.inputs))

    def _add_row(self, control: Control, editor: Editor, *, is_folded: bool) -> None:
        """Add the editor; folded away where the covariates are what one turns first."""
        label: QWidget = Fold(control.label) if is_folded else plain_label(control.label)
        label.setToolTip(tooltip(control.help))
        self._shown += [label, editor]
        row = self._rows.rowCount()
        if isinstance(label, Fold):
            label.show_content(editor)
            self._rows.addWidget(label, row, 0, 1, 2)
        elif editor.is_wide:
            self._rows.addWidget(label, row, 0, 1, 2)
            self._rows.addWidget(editor, row + 1, 0, 1, 2)
        else:
            self._rows.addWidget(label, row, 0)
            self._rows.addWidget(editor, row, 1)
        editor.edited.connect(lambda value, name=control.name: self._on_edited(name, value))
        self.editors[control.name] = editor
        self._labels[control.name] = label

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Show the value of every control that `values` names."""
        for name, editor in self.editors.items():
            if name in values:
                editor.show_value(values[name])

    def show_own(self, own: Mapping[str, Any]) -> None:
        """Mark the patient's own values; those that `own` does not name are not known."""
        for name, editor in self.editors.items():
            editor.show_own(own.get(name))

    def show_whom(self, of_patient: bool, is_found: bool) -> None:
        """Show what there is to turn for a patient, or for people who are made up.

        Parameters
        ----------
        of_patient : whether the controls are a patient's, whose latent is not drawn.
        is_found : whether the patient's own values, from which one moves, are known.
        """
        for name in _DRAWN:
            if name in self.editors:
                self.editors[name].setVisible(not of_patient)
                self._labels[name].setVisible(not of_patient)
        waits = of_patient and not is_found
        for name, editor in self.editors.items():
            if isinstance(editor, CovariateEditor | LatentEditor):
                editor.setEnabled(not waits)
                self._labels[name].setEnabled(not waits)
                editor.setToolTip(tooltip(_WAITS if waits else editor.control.help))
            if isinstance(editor, LatentEditor):
                editor.show_of_patient(of_patient)

    def show_amber(self, names: Collection[str]) -> None:
        """Show the rows of `names` in amber: beyond what the model has seen together."""
        for name, editor in self.editors.items():
            amber = name in names
            editor.show_amber(amber)
            self._labels[name].setStyleSheet(AMBER_EDGE if amber else "")

    def show_present(self, present: Sequence[str]) -> None:
        """Say that what the model reads is not missing."""
        targets = self.editors.get(TARGETS)
        if isinstance(targets, ModalitiesEditor):
            targets.show_unavailable(present, "It is there; switch it off above to impute it")

    def _on_edited(self, name: str, value: object) -> None:
        self.control_changed.emit(name, value)


class PreparationForm(Fold):
    """How the scans are brought to the model's grid; folded, since the defaults serve."""

    options_changed = Signal(object)

    _REGISTER = (
        ("If not in place", "auto", "Register only what is not already in place"),
        ("Never", "never", "Trust the positions in the files"),
        ("Always", "always", "Register in any case"),
    )
    _MASK = (
        ("If there is a skull", "auto", "Compute a brain mask where the scan has a skull"),
        ("Never", "never", "Take every voxel above background as brain"),
    )

    def __init__(self) -> None:
        super().__init__("Preparation")
        self.register = _choices(self._REGISTER)
        self.brain_mask = _choices(self._MASK)
        self.bias_field = QCheckBox("Correct the bias field (N4)")
        self.bias_field.setToolTip("Slow (about a minute); for uneven brightness across the head")
        content = QWidget()
        rows = _form_layout(content)
        rows.setContentsMargins(0, 6, 0, 0)
        rows.addWidget(QLabel("Register"), 0, 0)
        rows.addWidget(self.register, 0, 1)
        rows.addWidget(QLabel("Brain mask"), 1, 0)
        rows.addWidget(self.brain_mask, 1, 1)
        rows.addWidget(self.bias_field, 2, 0, 1, 2)
        self.show_content(content)
        self._options = PreparationOptions()
        self.register.activated.connect(self._on_changed)
        self.brain_mask.activated.connect(self._on_changed)
        self.bias_field.toggled.connect(self._on_changed)

    def show_options(self, options: PreparationOptions) -> None:
        """Show `options`."""
        self._options = options
        for widget in (self.register, self.brain_mask, self.bias_field):
            widget.blockSignals(True)
        self.register.setCurrentIndex(self.register.findData(options.register))
        self.brain_mask.setCurrentIndex(self.brain_mask.findData(options.brain_mask))
        self.bias_field.setChecked(options.bias_field)
        for widget in (self.register, self.brain_mask, self.bias_field):
            widget.blockSignals(False)

    def _on_changed(self, *_: object) -> None:
        self._options = replace(
            self._options,
            register=self.register.currentData(),
            brain_mask=self.brain_mask.currentData(),
            bias_field=self.bias_field.isChecked(),
        )
        self.options_changed.emit(self._options)


def _editor(control: Control, card: ModelCard) -> Editor | None:
    if isinstance(control, Latent):
        return LatentEditor(control)
    if is_covariate(control, card):
        return covariate_editor(control)
    editor = make_editor(control)
    if isinstance(editor, SeedEditor) and control.name == "seed" and card.covariates:
        editor.show_lock("The same seed keeps the person while covariates change")
    return editor


def _form_layout(widget: QWidget) -> QGridLayout:
    layout = QGridLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(8)
    layout.setVerticalSpacing(6)
    layout.setColumnMinimumWidth(0, 78)
    layout.setColumnStretch(1, 1)
    return layout


def _choices(items: tuple[tuple[str, str, str], ...]) -> QComboBox:
    combo = QComboBox()
    for row, (label, value, tip) in enumerate(items):
        combo.addItem(label, value)
        combo.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)
    return combo
