"""Judges learn from nobody who tests them, and from nobody who trains a predictor."""

from __future__ import annotations

from training.data.splits import people, role_of
from training.judges import people as folk


def test_nobody_is_both_learnt_from_and_tested_on():
    assert not set(folk.judges_people()) & set(folk.test_people())
    assert set(folk.test_people()) == set(people("ixi", "test"))


def test_predictors_people_are_kept_away_and_nobody_is_forgotten():
    predictors = {p for p in people("ixi") if role_of(p) == "predictor"}
    assert len(predictors) == 30
    assert not predictors & set(folk.judges_people())
    assert {*folk.judges_people(), *predictors, *folk.test_people()} == set(people("ixi"))
