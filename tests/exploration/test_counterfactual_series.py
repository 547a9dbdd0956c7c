"""Covariates that follow others: offers that are known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tests import _people
from tests._fakes import make_scan
from tests._people import brighter

from napari_medsyn.exploration.controls import OWN
from napari_medsyn.exploration.counterfactuals import counterfactual
from napari_medsyn.exploration.plausible import Hint
from napari_medsyn.scans.study import Study

#: A model in which age follows sex: men are ten years older than women, all else equal.
OLDER = 10.0


def offers(card, controls):
    """What `plausible.hints` says under such a model."""
    own = controls[OWN]
    expected = own["age"] + OLDER * ((controls["sex"] == "M") - (own["sex"] == "M"))
    if expected == controls["age"]:
        return ()
    sentence = f"With sex {controls['sex']}, age of about {expected:g} would be expected."
    return (Hint("age", "depends", sentence, expected),)


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_medsyn.exploration.counterfactual_series.hints", offers)
    return _people.at_home(tmp_path, monkeypatch)


def make(**fields):
    return counterfactual("people", Study((make_scan("T1"),)), device="cpu", **fields)


def test_nothing_follows_unless_it_may():
    made = make(set={"sex": "M"})
    assert made.asked == {"age": 44.0, "sex": "M"}
    assert made.followed == ()
    assert [hint.value for hint in made.hints] == [54.0]
    assert not made.arrays["difference_T1"].any()


def test_what_depends_on_it_follows():
    made = make(set={"sex": "M"}, follow=True)
    assert made.asked == {"age": 54.0, "sex": "M"}
    assert made.followed == ("age",)
    assert made.hints == ()
    np.testing.assert_allclose(made.arrays["counterfactual_T1"], brighter(10), rtol=1e-6)


def test_what_is_set_does_not_follow():
    made = make(set={"sex": "M", "age": 46}, follow=True)
    assert made.asked == {"age": 46.0, "sex": "M"}
    assert made.followed == ()


def test_of_what_is_set_it_is_not_said_that_another_value_is_expected():
    assert make(set={"sex": "M", "age": 46}).hints == ()


def test_each_step_of_a_series_follows_from_the_own_values():
    made = make(sweep={"sex": ["F", "F", "M"]}, follow=True)
    series = made.arrays["counterfactual_T1"]
    for step, years in zip(series, (0, 0, 10), strict=True):
        np.testing.assert_allclose(step, brighter(years), rtol=1e-6)
    assert made.provenance["sweep"]["followed"] == [{}, {}, {"age": 54.0}]
    assert made.provenance["sweep"]["values"] == ["F", "F", "M"]
    assert "sex" not in made.provenance["controls"]
    assert made.followed == ("age",)
    assert made.asked == {"age": 44.0}
    # What has followed need not be told to.
    assert made.hints == ()


def test_a_series_without_following_leaves_the_others():
    made = make(sweep={"sex": ["F", "M"]})
    assert not made.arrays["difference_T1"].any()
    assert [hint.value for hint in made.hints] == [54.0]


def test_beyond_the_training_range_is_said_of_either_end_of_a_series():
    made = make(sweep={"age": [18, 50, 88]})
    said = [note for note in made.notes if "beyond the training range 20 to 86" in note]
    assert len(said) == 2
    assert [note for note in make(set={"age": 88}).notes if "Age 88 years is beyond" in note]
    assert not [note for note in make(set={"age": 60}).notes if "beyond" in note]
