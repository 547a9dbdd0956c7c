"""Ages: moments by hand, the distribution by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from napari_medsyn.models.mssg.labels_beta import CELLS, OUT_OF_RANGE, Beta


def test_moments_by_hand():
    # On [0, 1]: 0, 1/3, 2/3, 1; m = 1/2, v = 5/36, c = (1/4) / (5/36) - 1 = 4/5.
    fitted = Beta.fit([20, 40, 60, 80])
    assert (fitted.low, fitted.high) == (20, 80)
    assert (fitted.alpha, fitted.beta) == pytest.approx((0.4, 0.4))


def test_a_fit_has_the_mean_and_variance_of_the_people(rng):
    ages = rng.uniform(30, 70, 200) ** 1.2
    fitted = Beta.fit(ages)
    made = stats.beta(fitted.alpha, fitted.beta, fitted.low, fitted.high - fitted.low)
    assert made.mean() == pytest.approx(ages.mean())
    assert made.var() == pytest.approx(ages.var())


@pytest.fixture
def beta():
    return Beta(20.0, 80.0, 2.0, 3.5)


def test_distribution_is_that_of_scipy(beta):
    ages = np.array([10.0, 20.0, 33.0, 50.0, 79.0, 90.0])
    assert beta.cdf(ages) == pytest.approx(stats.beta(2, 3.5, 20, 60).cdf(ages))
    inner = ages[2:4]
    assert beta.log_density(inner) == pytest.approx(
        stats.beta(2, 3.5, 20, 60).logpdf(inner), abs=1e-3
    )


def test_cells_hold_everybody(beta):
    assert beta.log_masses().shape == (CELLS,)
    assert np.exp(beta.log_masses()).sum() == pytest.approx(1)


@pytest.mark.parametrize("shape", [(0.4, 0.4), (2.0, 3.0)])
def test_the_ends_have_a_finite_density(shape):
    # The density itself is infinite, or 0, there.
    density = Beta(20.0, 80.0, *shape).log_density([20.0, 80.0])
    assert (density > -20).all()
    assert (density < 0).all()


def test_ages_out_of_range(beta):
    assert beta.log_density([19.9, 80.1]).tolist() == [OUT_OF_RANGE] * 2


def test_two_ages_are_too_few():
    with pytest.raises(ValueError, match="three different ages"):
        Beta.fit([30, 30, 40])
