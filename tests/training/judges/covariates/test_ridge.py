from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from training.judges.covariates.ridge import fit, folds, log_odds_line, predicted_by_others


def example(people=12, features=40):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(people, features)) * rng.uniform(0.1, 3, features)
    return x, x[:, 0] + rng.normal(size=people)


def test_the_dual_solution_is_the_primal_one():
    x, y = example()
    strength, floor = 0.3, 0.2
    scaled = (x - x.mean(axis=0)) / (x.std(axis=0) + floor)
    ridge = strength * (scaled**2).sum() / len(y)
    primal = np.linalg.solve(
        scaled.T @ scaled + ridge * np.eye(x.shape[1]), scaled.T @ (y - y.mean())
    )
    np.testing.assert_allclose(
        fit(x, y, strength, floor).of(x), y.mean() + scaled @ primal, atol=1e-8
    )


def test_a_constant_feature_weighs_nothing():
    x, y = example()
    x[:, 3] = 5.0
    assert fit(x, y, 0.1, 0.05).weights[3] == 0


def test_folds_share_every_stratum():
    strata = np.repeat([0, 1, 2], [10, 20, 7])
    fold = folds(strata.tolist(), 5, np.random.default_rng(1))
    assert np.bincount(fold).tolist() == [8, 8, 7, 7, 7]
    for stratum in range(3):
        counts = np.bincount(fold[strata == stratum], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_nobody_is_predicted_by_a_fit_that_has_seen_them():
    x, y = example()
    fold = np.arange(12) % 3
    held = predicted_by_others(x, y, fold, 0.1, 0.05)
    changed = y.copy()
    changed[5] += 100
    again = predicted_by_others(x, changed, fold, 0.1, 0.05)
    same = fold == fold[5]
    np.testing.assert_allclose(held[same], again[same])
    assert not np.allclose(held[~same], again[~same])


@pytest.mark.parametrize("separable", [False, True])
def test_calibration_is_platts_logistic_regression(separable):
    rng = np.random.default_rng(2)
    is_one = rng.random(60) < 0.5
    scores = np.where(is_one, 0.6, -0.4) + (0.01 if separable else 0.8) * rng.normal(size=60)
    ones, zeros = is_one.sum(), (~is_one).sum()
    wanted = np.where(is_one, (ones + 1) / (ones + 2), 1 / (zeros + 2))

    def loss(line):
        z = line[0] * scores + line[1]
        return np.sum(np.logaddexp(0, z) - wanted * z)

    expected = minimize(loss, [0.0, 0.0], method="BFGS").x
    np.testing.assert_allclose(log_odds_line(scores, is_one), expected, rtol=1e-3, atol=1e-3)
