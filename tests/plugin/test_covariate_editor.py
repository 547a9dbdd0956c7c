"""Editors of covariates: unknown and known, the patient's own value and the way back to it."""

from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from tests.plugin._people import people_card

from napari_medsyn.plugin.covariate_editor import CovariateEditor, covariate_editor, is_covariate
from napari_medsyn.plugin.editors import ChoiceEditor, SliderEditor
from napari_medsyn.plugin.wording import control_of

CARD = people_card()


def editor_of(name: str, qtbot: QtBot) -> tuple[CovariateEditor, list[Any]]:
    control = control_of(CARD, name)
    assert control is not None
    editor = covariate_editor(control)
    assert isinstance(editor, CovariateEditor)
    qtbot.addWidget(editor)
    editor.show_value(control.default)  # type: ignore[union-attr]
    values: list[Any] = []
    editor.edited.connect(values.append)
    return editor, values


def click(button: Any) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_only_covariates_and_what_may_be_unknown_get_one() -> None:
    names = [control.name for control in CARD.controls if is_covariate(control, CARD)]
    assert names == ["age", "sex", "ventricles", "cohort"]


def test_a_number_that_is_not_known_is_greyed_and_comes_back(qtbot: QtBot) -> None:
    editor, values = editor_of("age", qtbot)
    inner = editor.inner
    assert isinstance(inner, SliderEditor)
    inner.slider.setValue(52)  # 18 + 52 years
    editor.show_value(70.0)
    click(editor.unknown)
    editor.show_value(None)
    assert values == [70.0, None]
    assert not inner.isEnabled()
    assert editor.unknown.isChecked()
    click(editor.unknown)
    assert values[-1] == 70.0


def test_a_choice_that_is_not_known_is_an_entry_of_the_list(qtbot: QtBot) -> None:
    editor, values = editor_of("sex", qtbot)
    inner = editor.inner
    assert isinstance(inner, ChoiceEditor)
    entries = [inner.combo.itemText(row) for row in range(inner.combo.count())]
    assert entries == ["female", "male", "not known"]
    assert not editor.unknown.isVisibleTo(editor)
    inner.combo.setCurrentIndex(2)
    inner.combo.setCurrentIndex(1)
    assert values == [None, "M"]
    editor.show_value(None)
    assert inner.combo.currentText() == "not known"
    assert inner.isEnabled()


def test_a_choice_that_must_be_known_has_no_such_entry(qtbot: QtBot) -> None:
    editor, _ = editor_of("cohort", qtbot)
    inner = editor.inner
    assert isinstance(inner, ChoiceEditor)
    assert inner.combo.findText("not known") < 0


def test_the_way_back_to_the_patient_is_there_where_there_is_one(qtbot: QtBot) -> None:
    editor, values = editor_of("ventricles", qtbot)
    assert not editor.reset.isVisibleTo(editor)
    editor.show_own(22.5)
    assert editor.reset.isVisibleTo(editor)
    assert "22.5 ml" in editor.reset.toolTip()
    click(editor.reset)
    assert values == [22.5]
    editor.show_value(22.5)
    assert not editor.reset.isVisibleTo(editor)


def test_an_own_value_between_two_steps_is_met_exactly(qtbot: QtBot) -> None:
    editor, values = editor_of("age", qtbot)
    inner = editor.inner
    assert isinstance(inner, SliderEditor)
    editor.show_own(44.37)
    assert inner.slider.mark == 26
    inner.slider.setValue(30)
    inner.slider.setValue(26)
    assert values == [48.0, 44.37]
    inner.slider.mark_asked.emit()
    assert values[-1] == 44.37
    editor.show_own(None)
    assert inner.slider.mark is None
    inner.slider.setValue(25)
    inner.slider.setValue(26)
    assert values[-1] == 44.0


def test_the_patients_own_choice_is_dotted(qtbot: QtBot) -> None:
    editor, _ = editor_of("sex", qtbot)
    inner = editor.inner
    assert isinstance(inner, ChoiceEditor)
    editor.show_own("F")
    assert [inner.combo.itemText(row) for row in (0, 1)] == ["• female", "male"]
    editor.show_own(None)
    assert inner.combo.itemText(0) == "female"


@pytest.mark.parametrize("amber", [True, False])
def test_amber_colours_the_number(qtbot: QtBot, amber: bool) -> None:
    editor, _ = editor_of("age", qtbot)
    editor.show_amber(amber)
    inner = editor.inner
    assert isinstance(inner, SliderEditor)
    assert ("#d9a13b" in inner.number.styleSheet()) == amber
