"""Sex given age: against a general optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from napari_medsyn.models.mssg.labels_logistic import Logistic


def test_newton_finds_what_a_general_optimiser_finds(rng):
    ages = rng.uniform(-1, 1, 60)
    male = (rng.random(60) < expit(0.4 - 1.5 * ages)).astype(float)

    def loss(w):
        odds = w[0] + w[1] * ages
        likelihood = (male * odds - np.logaddexp(0, odds)).sum()
        return -likelihood + 0.5 * (0.025 * w[0] ** 2 + 0.25 * w[1] ** 2)

    expected = minimize(loss, np.zeros(2), tol=1e-10).x
    fitted = Logistic.fit(ages, male, ridge=0.25)
    assert (fitted.intercept, fitted.slope) == pytest.approx(expected.tolist(), abs=1e-4)


def test_without_dependence_it_is_the_share():
    fitted = Logistic.fit(
        np.tile([-1.0, 1.0], 200), np.repeat([1.0, 1.0, 1.0, 0.0], 100), ridge=1e-6
    )
    assert np.exp(fitted.log_probability(0.0, 1.0)) == pytest.approx(0.75, abs=1e-4)
    assert fitted.slope == pytest.approx(0, abs=1e-6)


def test_ages_that_separate_the_sexes_leave_it_finite():
    fitted = Logistic.fit([-1.0, -0.5, 0.5, 1.0], [0, 0, 1, 1])
    assert 0.5 < fitted.slope < 10


def test_probabilities_add_up():
    model = Logistic(0.3, -2.0)
    ages = np.array([-1.0, 0.2, 1.0])
    both = np.exp(model.log_probability(ages, 1.0)) + np.exp(model.log_probability(ages, -1.0))
    assert both == pytest.approx(np.ones(3))
    assert np.exp(model.log_probability(0.2, 1.0)) == pytest.approx(expit(0.3 - 0.4))


def test_nobody():
    with pytest.raises(ValueError, match="nobody"):
        Logistic.fit([], [])
