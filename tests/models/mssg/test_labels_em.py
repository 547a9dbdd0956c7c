"""EM and BIC on made rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from napari_medsyn.models.mssg.labels_em import LEAST_VARIANCE, choose, fit


def test_one_component_is_the_mean_and_covariance(rng):
    rows = rng.multivariate_normal([1.0, -2.0], [[2.0, 0.8], [0.8, 1.0]], 50)
    fitted = fit(rows, np.zeros(50), 1, False, rng)
    assert fitted is not None
    assert fitted.mixture.means[0] == pytest.approx(rows.mean(0))
    covariance = np.cov(rows.T, bias=True)
    assert fitted.mixture.covariances[0] == pytest.approx(covariance)
    likelihood = stats.multivariate_normal(rows.mean(0), covariance).logpdf(rows).sum()
    assert fitted.log_likelihood == pytest.approx(likelihood)
    # Two means and three entries of the covariance.
    assert fitted.bic == pytest.approx(-2 * likelihood + 5 * np.log(50))


def test_sex_moves_the_mean_by_half_the_difference(rng):
    sex = np.repeat([-1.0, 1.0], 40)
    rows = rng.standard_normal((80, 1)) + 1.5 * sex[:, None]
    fitted = fit(rows, sex, 1, True, rng)
    assert fitted is not None
    difference = rows[40:].mean() - rows[:40].mean()
    assert fitted.mixture.shifts[0, 0] == pytest.approx(difference / 2, rel=1e-3)
    # Mean, shift, variance.
    assert fitted.bic == pytest.approx(-2 * fitted.log_likelihood + 3 * np.log(80))


def test_bic_takes_one_component_for_one_group(rng):
    rows = rng.standard_normal((20, 2))
    assert len(choose(rows, np.repeat([-1.0, 1.0], 10), rng).mixture.weights) == 1


def test_bic_finds_two_groups(rng):
    rows = np.concatenate([rng.standard_normal((18, 2)), rng.standard_normal((9, 2)) + 6])
    found = choose(rows, np.zeros(27), rng).mixture
    order = found.means[:, 0].argsort()
    assert found.weights[order] == pytest.approx([2 / 3, 1 / 3], abs=0.01)
    assert found.means[order] == pytest.approx(np.array([[0, 0], [6, 6]]), abs=0.7)


def test_bic_takes_sex_only_where_it_matters(rng):
    sex = np.tile([-1.0, 1.0], 10)
    noise = rng.standard_normal((20, 1))
    assert not choose(noise, sex, rng).mixture.shifts.any()
    assert choose(noise + 2 * sex[:, None], sex, rng).mixture.shifts.all()


def test_a_component_does_not_shrink_onto_equal_rows(rng):
    rows = np.concatenate([np.zeros((20, 1)), rng.standard_normal((40, 1)) + 3])
    fitted = fit(rows, np.zeros(60), 2, False, rng)
    assert fitted is not None
    assert fitted.mixture.covariances.min() == pytest.approx(LEAST_VARIANCE * rows.var())


def test_equal_seeds_equal_fits(rng):
    rows = np.concatenate([rng.standard_normal((12, 2)), rng.standard_normal((8, 2)) + 4])
    one, other = (choose(rows, np.zeros(20), np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(one.mixture.covariances, other.mixture.covariances)


def test_too_few_people(rng):
    with pytest.raises(ValueError, match="at least 8 people, here are 7"):
        choose(np.zeros((7, 1)), np.zeros(7), rng)
