"""The row in which the user states what is known of the patient."""

from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtTest import QTest
from tests.plugin._people import people_card

from napari_medsyn.plugin.person_row import PersonRow


@pytest.fixture
def row(qtbot: QtBot) -> PersonRow:
    row = PersonRow()
    qtbot.addWidget(row)
    row.show_card(people_card())
    return row


def said(row: PersonRow) -> list[tuple[str, Any]]:
    values: list[tuple[str, Any]] = []
    row.stated.connect(lambda name, value: values.append((name, value)))
    return values


def test_age_and_sex_can_be_stated_and_the_rest_is_estimated(row: PersonRow) -> None:
    assert list(row.fields) == ["age", "sex"]
    row.show_card(None)
    assert not row.fields


def test_what_is_stated_is_shown_and_what_is_estimated_has_a_tilde(row: PersonRow) -> None:
    age, sex = row.fields["age"].edit, row.fields["sex"].combo
    row.show_person({"age": 44.0}, None)
    assert (age.text(), sex.currentText()) == ("44", "?")
    row.show_person({}, {"age": 43.6, "sex": "F"})
    assert (age.text(), age.placeholderText()) == ("", "~44")
    assert sex.currentText() == "~female"
    row.show_person({"sex": "M"}, {"age": 43.6, "sex": "M"})
    assert sex.currentText() == "male"


@pytest.mark.parametrize(("typed", "value"), [("44", 44.0), ("44,5", 44.5), ("", None)])
def test_a_number_is_stated_when_it_is_finished(
    row: PersonRow, typed: str, value: float | None
) -> None:
    row.show_person({"age": 20.0}, None)
    values, edit = said(row), row.fields["age"].edit
    edit.clear()
    QTest.keyClicks(edit, typed)
    assert not values
    edit.editingFinished.emit()
    edit.editingFinished.emit()
    assert values == [("age", value)]


def test_what_is_no_number_is_taken_back(row: PersonRow) -> None:
    row.show_person({"age": 20.0}, None)
    values, edit = said(row), row.fields["age"].edit
    edit.setText("old")
    edit.editingFinished.emit()
    assert edit.text() == "20"
    assert not values


def test_a_choice_can_be_taken_back(row: PersonRow) -> None:
    values, combo = said(row), row.fields["sex"].combo
    for index in (2, 0):
        combo.setCurrentIndex(index)
        combo.activated.emit(index)
    assert values == [("sex", "M"), ("sex", None)]
