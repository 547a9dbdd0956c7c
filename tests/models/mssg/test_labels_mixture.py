"""Conditionals of a Gaussian mixture: by hand, by SciPy, and by drawing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tests.models.mssg._people import mixture

from napari_medsyn.models.mssg.labels_mixture import Conditional, Mixture

NO_SEX = np.zeros(())


@pytest.fixture
def two():
    """Two components in three dimensions; sex moves the first."""
    A = np.array([[1.0, 0.4, 0.2], [0.0, 0.8, -0.5], [0.0, 0.0, 0.6]])
    B = np.array([[0.5, 0.0, 0.3], [0.0, 0.7, 0.2], [0.0, 0.0, 1.0]])
    return mixture(
        [[0.0, 1.0, -1.0], [2.0, -1.0, 0.5]],
        [A @ A.T, B @ B.T],
        [[0.3, -0.2, 0.4], [0.0, 0.0, 0.0]],
        (0.7, 0.3),
    )


def test_conditional_by_hand():
    # mu_y + S_yx / S_xx (x - mu_x) = 2 + 2/4 (3 - 1) = 3; S_yy - S_yx² / S_xx = 3 - 4/4 = 2.
    model = mixture([[1.0, 2.0]], [[[4.0, 2.0], [2.0, 3.0]]])
    given = model.conditional(np.array([3.0]), NO_SEX, (0,), 1)
    assert given.means == pytest.approx([3.0])
    assert given.deviations**2 == pytest.approx([2.0])


def test_conditional_agrees_with_drawing(two, rng):
    # Of many drawn people, those who happen to lie near x follow the conditional.
    n, near = 300_000, []
    for w, mu, shift, S in zip(two.weights, two.means, two.shifts, two.covariances, strict=True):
        x = rng.multivariate_normal(mu + shift, S, int(w * n))
        near.append(x[(np.abs(x[:, [0, 2]] - [0.8, -0.2]) < 0.1).all(1), 1])
    drawn = np.concatenate(near)
    given = two.conditional(np.array([0.8, -0.2]), np.array(1.0), (0, 2), 1)
    assert given.mean() == pytest.approx(drawn.mean(), abs=5 * drawn.std() / len(drawn) ** 0.5)
    for y in (-1.0, 0.0, 1.0):
        assert given.cdf(y) == pytest.approx((drawn <= y).mean(), abs=0.03)


def test_conditional_agrees_with_the_joint_density(two):
    y = np.linspace(-9, 9, 3001)
    x = np.stack([np.full_like(y, 0.8), y, np.full_like(y, -0.2)], 1)
    density = sum(
        w * stats.multivariate_normal(mu - shift, S).pdf(x)
        for w, mu, shift, S in zip(two.weights, two.means, two.shifts, two.covariances, strict=True)
    )
    density /= density.sum()
    given = two.conditional(np.array([0.8, -0.2]), np.array(-1.0), (0, 2), 1)
    mean = (density * y).sum()
    weights = np.exp(given.log_weights)
    assert given.mean() == pytest.approx(mean)
    second = (weights * (given.deviations**2 + given.means**2)).sum()
    assert second - mean**2 == pytest.approx((density * (y - mean) ** 2).sum())


def test_density_is_that_of_scipy(two):
    x = np.array([0.5, 0.1, -0.4])
    for sex in (-1.0, 1.0):
        expected = sum(
            w * stats.multivariate_normal(mu + sex * shift, S).pdf(x)
            for w, mu, shift, S in zip(
                two.weights, two.means, two.shifts, two.covariances, strict=True
            )
        )
        assert np.exp(two.log_density(x, np.array(sex))) == pytest.approx(expected)


def test_a_coordinate_left_out_is_integrated_out(two):
    kept = two.log_joint(np.array([0.5, -0.4]), NO_SEX, (0, 2))
    line = np.linspace(-12, 12, 4001)
    x = np.stack([np.full_like(line, 0.5), line, np.full_like(line, -0.4)], 1)
    whole = np.exp(two.log_density(x, np.zeros(len(line)))).sum() * (line[1] - line[0])
    assert np.exp(kept).sum() == pytest.approx(whole)


def test_nothing_known_leaves_the_marginal(two):
    given = two.conditional(np.empty((5, 0)), np.zeros(5), (), 0)
    assert np.exp(given.log_weights) == pytest.approx(np.tile([0.7, 0.3], (5, 1)))
    assert given.mean() == pytest.approx(np.full(5, 0.3 * 2.0))


def test_rows_broadcast_as_one_by_one(two, rng):
    x, sex = rng.standard_normal((4, 1, 2)), np.array([-1.0, 1.0])
    together = two.conditional(np.broadcast_to(x, (4, 2, 2)), np.tile(sex, (4, 1)), (0, 1), 2)
    for row in range(4):
        for column in range(2):
            one = two.conditional(x[row, 0], sex[column], (0, 1), 2)
            assert together.mean()[row, column] == pytest.approx(one.mean())


class TestCutOff:
    @pytest.fixture
    def line(self):
        return Conditional(np.zeros(1), np.array([1.0]), np.array([2.0]), -0.5, 4.0)

    @pytest.fixture
    def scipys(self):
        return stats.truncnorm(-0.75, 1.5, 1.0, 2.0)

    def test_mean(self, line, scipys):
        assert line.mean() == pytest.approx(scipys.mean())

    def test_distribution_and_quantiles(self, line, scipys):
        y = np.array([-3.0, -0.5, 0.0, 3.0, 4.0, 9.0])[:, None]
        assert line.cdf(y[:, 0]) == pytest.approx(scipys.cdf(y[:, 0]))
        share = np.array([0.01, 0.3, 0.99])
        assert line.quantile(share) == pytest.approx(scipys.ppf(share), abs=1e-6)

    def test_density(self, line, scipys):
        assert line.log_density(2.0) == pytest.approx(scipys.logpdf(2.0))
        # It does not jump at the end: who is beyond is asked elsewhere.
        assert line.log_density(4.01) == pytest.approx(line.log_density(3.99), abs=0.02)

    def test_far_beyond_the_ends_stays_between_them(self):
        line = Conditional(np.zeros(1), np.array([90.0]), np.array([1.0]), -1.0, 1.0)
        assert -1 <= line.mean() <= 1
        assert -1 <= line.quantile(0.5) <= 1


def test_sizes_must_agree():
    with pytest.raises(ValueError, match="differ in size"):
        Mixture(np.ones(1), np.zeros((1, 2)), np.zeros((1, 2)), np.ones((1, 3, 3)))
