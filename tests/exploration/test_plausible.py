"""Hints of what goes together, by a label model that is known by hand."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from tests.exploration._people import make_people

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration import plausible
from napari_medsyn.exploration.controls import OWN
from napari_medsyn.exploration.plausible import hints, unsupported
from napari_medsyn.exploration.resolving import Snapshot, readiness
from napari_medsyn.registry.card import read_card

OWN_VALUES = {"age": 44.0, "sex": "F", "ventricles": 30.0, "lesions": 0.0, "cohort": "ixi"}


class Linear:
    """Ventricles are half the age, and 3 ml more in men; lesions 8 ml more in MS.

    Nobody has as many ml of ventricles as years.
    """

    names = ("age", "sex", "ventricles", "lesions", "cohort")

    def __init__(self):
        self.asked = 0

    def expected(self, values, name):
        self.asked += 1
        if name == "lesions":
            return 8.0 if values["cohort"] == "ms" else 0.0
        return 0.5 * values.get("age", 60) + (3 if values["sex"] == "M" else 0)

    def support(self, values):
        assert values.get("lesions") != 0
        known = values["age"] is not None and values["ventricles"] is not None
        return SimpleNamespace(is_inside=not known or values["ventricles"] < values["age"])

    def nearest(self, values, name):
        if self.support(values).is_inside:
            return values[name]
        near = {"age": values["ventricles"] + 0.01, "ventricles": values["age"] - 0.01}
        return near.get(name)


@pytest.fixture
def model(monkeypatch):
    made = Linear()
    monkeypatch.setattr(plausible, "_label_model", lambda _card: made)
    return made


@pytest.fixture
def card(tmp_path, model):
    return read_card(make_people(tmp_path / "people", label_model={"any": 1}))


def at(own=OWN_VALUES, **values):
    return {**OWN_VALUES, **values, OWN: own}


def test_where_nothing_has_moved_there_is_nothing_to_say(card):
    assert hints(card, at()) == ()


def test_what_depends_moves_from_the_patients_own_value_by_the_change_of_the_mean(card):
    # 26 years more are 13 ml more, on top of the patient's own 30.
    (hint,) = hints(card, at(age=70.0))
    assert (hint.control, hint.kind, hint.value) == ("ventricles", "depends", 43.0)
    assert hint.sentence == "With age 70 years, ventricles of about 43 ml would be expected."
    assert hints(card, at(age=70.0, ventricles=43.0)) == ()


def test_without_a_patient_it_moves_from_the_cards_defaults(card):
    # The defaults are 50 years and 25 ml; 20 years more are 10 ml more.
    values = {name: value for name, value in OWN_VALUES.items() if name != "ventricles"}
    (hint,) = hints(card, {**values, "age": 70.0, "ventricles": 25.0})
    assert hint.value == 35.0


def test_several_changes_are_told_together(card):
    ventricles, lesions = hints(card, at(age=54.0, sex="M", cohort="ms"))
    assert ventricles.sentence.startswith("With age 54 years and sex male and cohort MS, ")
    assert (ventricles.value, lesions.value) == (38.0, 8.0)


def test_what_would_be_expected_stays_within_the_control(card):
    own = {**OWN_VALUES, "ventricles": 95.0, "age": 20.0}
    hint = next(h for h in hints(card, at(own, ventricles=95.0, age=90.0)) if h.kind == "depends")
    assert hint.value == 100.0


def test_a_covariate_that_the_user_moved_moves_no_other(card):
    assert hints(card, at(ventricles=40.0)) == ()


def test_unknown_is_a_legal_value(card):
    assert hints(card, at(sex="M", ventricles=None)) == ()
    # What is not known does not count as a change; the other change does.
    (hint,) = hints(card, at(sex="M", age=None))
    assert (hint.control, hint.value) == ("ventricles", 33.0)
    assert hint.sentence.startswith("With sex male, ")


def test_beyond_the_training_people_the_nearest_supported_value_is_offered(card, model):
    # The nearest is 43.99 ml, on whose steps of 0.5 ml only 43.5 is inside again.
    (hint,) = hints(card, at(ventricles=60.0))
    assert (hint.control, hint.kind, hint.value) == ("ventricles", "unsupported", 43.5)
    assert hint.sentence == (
        "Ventricles 60 ml was not seen together with the other values in training; the nearest "
        "supported value is 43.5 ml."
    )
    assert model.support({**OWN_VALUES, "lesions": None, "ventricles": 43.5}).is_inside


def test_of_what_was_moved_each_can_mend_it(card):
    found = hints(card, at(age=30.0, ventricles=60.0))
    assert [(h.control, h.value) for h in found if h.kind == "unsupported"] == [
        ("age", 61.0),
        ("ventricles", 29.5),
    ]


def test_where_no_single_value_mends_it_that_is_said(card, model, monkeypatch):
    monkeypatch.setattr(model, "nearest", lambda *_: None)
    (hint,) = hints(card, at(ventricles=60.0))
    assert hint.value is None
    assert hint.sentence.endswith("in training, and no single value mends that.")


def test_a_readiness_warns_of_the_unsupported_once(card, tmp_path):
    snapshot = Snapshot(package=tmp_path / "people", controls={"ventricles": 60.0})
    (said,) = readiness(snapshot, card).warnings
    assert said.startswith("Ventricles 60 ml was not seen together")
    # 24 years are beyond the control's own support, which says so by itself.
    snapshot = Snapshot(package=tmp_path / "people", controls={"age": 24.0})
    (said,) = readiness(snapshot, card).warnings
    assert "beyond the training range" in said


def test_the_same_question_is_asked_once(card, model):
    hints(card, at(age=70.0))
    asked = model.asked
    hints(card, at(age=70.0))
    assert model.asked == asked


def test_a_value_that_the_label_model_does_not_know_says_nothing(card, model, monkeypatch):
    def refuse(*_):
        raise ValueError("cohort 'other' is not one of ixi, ms")

    monkeypatch.setattr(model, "expected", refuse)
    monkeypatch.setattr(model, "support", refuse)
    assert hints(card, at(age=71.0)) == ()


def test_a_card_without_a_label_model_has_no_hints(tmp_path):
    card = read_card(make_people(tmp_path / "people"))
    assert hints(card, at(age=70.0)) == ()
    assert unsupported(card, at(age=70.0)) == ()


def test_a_damaged_label_model_is_told_and_does_not_stop_the_model(tmp_path):
    card = read_card(make_people(tmp_path / "people", label_model={"sources": []}))
    with pytest.raises(UnusableModel):
        hints(card, at())
    said = readiness(Snapshot(package=tmp_path / "people"), card)
    assert said.ok
    assert len(said.warnings) == 1


def test_hints_need_no_torch():
    code = (
        "import sys, napari_medsyn.exploration.plausible, napari_medsyn.models.mssg.labels; "
        "sys.exit(bool({'torch', 'qtpy', 'SimpleITK'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
