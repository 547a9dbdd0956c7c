from __future__ import annotations

import pytest

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.controls import carried_over, checked, default_values, warnings


def test_defaults_are_those_of_the_card(card):
    assert default_values(card) == {"temperature": 0.5, "samples": 8, "seed": 0, "mood": "good"}


def test_an_unknown_control_is_refused_with_the_known_ones(card):
    with pytest.raises(UnusableModel, match="no control 'zeal'; it has temperature, samples"):
        checked(card, "zeal", 1)


def test_a_wrong_value_is_refused_with_the_rule(card):
    with pytest.raises(UnusableModel, match="Fake brain: samples 33 is outside 1 to 32"):
        checked(card, "samples", 33)


def test_values_that_another_model_takes_are_carried_over(card):
    old = {"temperature": 0.25, "samples": 64, "strength": 3}
    assert carried_over(card, old) == {**default_values(card), "temperature": 0.25}


def test_a_value_beyond_the_training_range_is_warned_of(card):
    assert warnings(card, {"temperature": 0.9, "samples": 3}) == ()
    (sentence,) = warnings(card, {"temperature": 1.0})
    assert "Temperature 1 is beyond the training range 0 to 0.9" in sentence
