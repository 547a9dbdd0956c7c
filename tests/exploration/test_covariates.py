"""What is known of a patient, by the card's controls."""

from __future__ import annotations

import pytest
from tests import _fakes
from tests.exploration._people import make_people

from napari_medsyn.exploration.covariates import (
    facts_of,
    fitted,
    known_values,
    makes_counterfactuals,
    own_values,
)
from napari_medsyn.registry.card import read_card
from napari_medsyn.scans.study import Study


@pytest.fixture
def card(tmp_path):
    return read_card(make_people(tmp_path / "people"))


def control(card, name):
    return next(one for one in card.controls if one.name == name)


def test_the_studys_facts_come_before_those_of_its_scans_and_the_first_scans_before_others():
    first = _fakes.make_scan("T1", facts={"age": 40})
    second = _fakes.make_scan("T2", facts={"age": 41, "sex": "F"})
    assert facts_of(Study((first, second))) == {"age": 40, "sex": "F"}
    assert facts_of(Study((first, second), {"sex": "M"})) == {"age": 40, "sex": "M"}


def test_other_facts_are_no_covariates(card):
    study = Study((_fakes.make_scan("T1", facts={"age": 40, "tags": {"EchoTime": 3}}),))
    assert known_values(card, study, {}) == {"age": 40.0}


@pytest.mark.parametrize(
    ("name", "value", "nearest"),
    [
        ("age", 44.37, 44.0),
        ("age", 12.0, 20.0),
        ("age", 120, 90.0),
        ("ventricles", 20.3, 20.5),
        ("age", None, None),
        ("age", "old", None),
        ("sex", "M", "M"),
        ("sex", "X", None),
        ("seed", "no seed", 0),
    ],
)
def test_an_estimate_is_brought_to_where_the_control_can_stand(card, name, value, nearest):
    assert fitted(control(card, name), value) == nearest


def test_own_values_are_complete_and_keep_what_is_known(card):
    own = own_values(card, {"age": 50.4, "ventricles": 31.2}, {"age": 43.7})
    assert own == {"age": 43.7, "sex": None, "ventricles": 31.0, "lesions": None, "cohort": None}


def test_counterfactuals_take_an_input_a_covariate_and_the_purpose(tmp_path):
    for number, (changes, makes) in enumerate(
        [({}, True), ({"inputs": []}, False), ({"covariates": []}, False), ({"task": None}, False)]
    ):
        card = read_card(make_people(tmp_path / f"people{number}", **changes))
        assert makes_counterfactuals(card) is makes
