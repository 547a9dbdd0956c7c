"""Figures of control, on values whose relation is known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medsyn.evaluation.adherence import agreement, effects, flip_share, strata


def test_agreement_by_hand():
    found = agreement(np.array([20.0, 40.0, 60.0]), np.array([25.0, 35.0, 45.0]))
    assert (found.r, found.slope, found.intercept) == pytest.approx((1, 0.5, 15))
    assert found.mae == pytest.approx((5 + 5 + 15) / 3)
    assert found.n == 3


def test_pairs_that_are_not_known_are_left_out():
    found = agreement(np.array([1.0, np.nan, 3.0, 4.0]), np.array([1.0, 2.0, np.nan, 4.0]))
    assert (found.n, found.mae) == (2, 0)
    with pytest.raises(ValueError, match="fewer than two"):
        agreement(np.array([1.0, np.nan]), np.array([1.0, 2.0]))


def test_a_covariate_that_does_not_vary_has_no_correlation():
    found = agreement(np.array([5.0, 5.0]), np.array([4.0, 7.0]))
    assert np.isnan(found.r)
    assert found.mae == pytest.approx(1.5)


def test_effects_tell_apart_what_varies_together(rng):
    age = rng.normal(50, 15, 200)
    ventricles = 0.4 * age + rng.normal(0, 3, 200)  # correlated requests
    scale = {"age": 15.0, "ventricles": 6.0}
    measured = {"age": 2 + 0.8 * age, "ventricles": ventricles + 0.1 * age}
    found = effects({"age": age, "ventricles": ventricles}, measured, scale)
    assert found["age"]["age"] == pytest.approx(0.8)
    assert found["age"]["ventricles"] == pytest.approx(0.1 * 15 / 6)
    assert found["ventricles"]["ventricles"] == pytest.approx(1)
    assert found["ventricles"]["age"] == pytest.approx(0, abs=1e-9)


def test_effects_that_cannot_be_told_apart_are_refused():
    age = np.arange(10.0)
    with pytest.raises(ValueError, match="apart"):
        effects({"age": age, "again": 2 * age}, {"age": age}, {"age": 1, "again": 1})


def test_strata_are_thirds_and_weighted_by_their_people():
    age = np.array([20.0, 21, 22, 50, 51, 52, 80, 81, 82])
    sex = np.array([0.0, 0, 0, 0, 0, 0, 1, 1, 1])
    measured = age + np.repeat([1.0, -2.0, 3.0], 3)
    table, mse, mae = strata({"age": age, "sex": sex}, measured, "age")
    assert [s.thirds for s in table] == [(0, 0), (1, 0), (2, 2)]
    assert [s.mae for s in table] == pytest.approx([1, 2, 3])
    assert (mse, mae) == pytest.approx(((1 + 4 + 9) / 3, 2))
    table, _, mae = strata({"age": age[:-1], "sex": sex[:-1]}, measured[:-1], "age", least=3)
    assert 2 not in {s.thirds[0] for s in table}
    with pytest.raises(ValueError, match="no stratum"):
        strata({"age": age}, measured, "age", least=20)


def test_a_sex_is_flipped_where_both_are_read_as_asked():
    female, male = np.array([0.1, 0.6, 0.2, 0.4]), np.array([0.9, 0.9, 0.4, 0.5])
    assert flip_share(female, male) == pytest.approx(2 / 4)
