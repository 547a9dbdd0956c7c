"""Distances between sets, against closed forms and another library."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medsyn.evaluation.distribution import (
    floor_of_halves,
    frechet_distance,
    inception_type_score,
    kernel_distance,
    squared_mmd,
    standardised,
)


def whitened(rng, n, d):
    """Rows whose sample mean is exactly 0 and whose sample covariance is exactly 1."""
    rows = rng.standard_normal((n, d))
    rows -= rows.mean(0)
    return rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T


def test_frechet_distance_of_commuting_gaussians_is_that_of_their_deviations(rng):
    rows = whitened(rng, 50, 3)
    spread, far = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 1.0])
    shift = np.array([1.0, -2.0, 0.5])
    # |m|^2 + sum (s - s')^2 where both covariances are diagonal.
    expected = 1 + 4 + 0.25 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2
    found = frechet_distance(rows * spread, rows * far + shift)
    assert found == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_turned_gaussians(rng):
    # A turn by 90 degrees exchanges the deviations 1 and 3: (1 - 3)^2 twice.
    rows = whitened(rng, 40, 2) * [1.0, 3.0]
    assert frechet_distance(rows, rows[:, ::-1]) == pytest.approx(8, rel=1e-9)
    half = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
    # S = diag(1, 9), S' = [[5, -4], [-4, 5]]: tr(S S') = 50, det = 81; the trace of the root
    # of a 2 x 2 matrix is sqrt(tr + 2 sqrt(det)) = sqrt(50 + 18); tr S + tr S' = 20.
    assert frechet_distance(rows, rows @ half.T) == pytest.approx(20 - 2 * np.sqrt(68), rel=1e-9)


def test_frechet_distance_of_a_set_to_itself_is_zero_also_where_it_has_few_rows(rng):
    rows = rng.standard_normal((5, 12))  # a covariance without full rank
    assert frechet_distance(rows, rows) == pytest.approx(0, abs=1e-9)


def test_sets_that_cannot_be_compared_are_refused(rng):
    with pytest.raises(ValueError, match="cannot be compared"):
        frechet_distance(rng.standard_normal((5, 3)), rng.standard_normal((5, 4)))
    with pytest.raises(ValueError, match="two samples"):
        squared_mmd(rng.standard_normal((1, 3)), rng.standard_normal((5, 3)))


def test_kernel_distance_of_two_points_by_hand():
    # One feature: k(x, y) = (x y + 1)^3; sets {0, 1} and {1, 2}.
    # within: k(0, 1) = 1; k(1, 2) = 27; between: mean of 1, 1, 8, 27.
    found = squared_mmd(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]))
    assert found == pytest.approx(1 + 27 - 2 * (1 + 1 + 8 + 27) / 4)


def test_kernel_distance_is_unbiased(rng):
    draws = [
        squared_mmd(rng.standard_normal((8, 2)), rng.standard_normal((8, 2))) for _ in range(2000)
    ]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(len(draws))


def test_kernel_distance_of_gaussians_apart_is_that_of_their_moments(rng):
    # In one dimension E k(x, y) = 1 + 3 m m' + 3 p p' + q q', of moments m, p, q.
    a, b = rng.standard_normal((600, 1)), 0.5 + rng.standard_normal((600, 1))
    moments = {0.0: (0.0, 1.0, 0.0), 0.5: (0.5, 1.25, 0.5**3 + 3 * 0.5)}
    x, y = np.array(moments[0.0]), np.array(moments[0.5])
    expected = np.sum(np.array([3, 3, 1]) * (x - y) ** 2)
    found = kernel_distance(a, b, blocks=1)
    assert found.value == pytest.approx(expected, rel=0.25)
    assert kernel_distance(a, b, blocks=4, size=100) == kernel_distance(a, b, blocks=4, size=100)


@pytest.mark.slow  # importing torchmetrics
def test_both_distances_are_those_of_torchmetrics(rng):
    torch = pytest.importorskip("torch")
    fid = pytest.importorskip("torchmetrics.image.fid")
    kid = pytest.importorskip("torchmetrics.image.kid")
    a, b = rng.standard_normal((60, 6)), 0.3 + 1.5 * rng.standard_normal((50, 6))
    means = [torch.from_numpy(rows.mean(0)) for rows in (a, b)]
    spreads = [torch.from_numpy(np.cov(rows.T)) for rows in (a, b)]
    theirs = fid._compute_fid(means[0], spreads[0], means[1], spreads[1])
    assert frechet_distance(a, b) == pytest.approx(float(theirs), rel=1e-6)
    same = min(len(a), len(b))
    mmd = kid.poly_mmd(torch.from_numpy(a[:same]), torch.from_numpy(b[:same]))
    assert squared_mmd(a[:same], b[:same]) == pytest.approx(float(mmd), rel=1e-6)


def test_inception_type_score_counts_the_classes_that_are_told_apart():
    assert inception_type_score(np.eye(4)).value == pytest.approx(4)
    assert inception_type_score(np.full((6, 4), 0.25)).value == pytest.approx(1)
    assert inception_type_score(np.repeat(np.eye(4)[:2], 3, axis=0)).value == pytest.approx(2)
    # Each half of the rows holds one class alone.
    assert inception_type_score(np.repeat(np.eye(2), 3, axis=0), splits=2).value == 1
    with pytest.raises(ValueError, match="sum 1"):
        inception_type_score(np.full((3, 3), 0.5))


def test_a_person_is_in_one_half_only():
    people = np.repeat(np.arange(6), 4)
    rows = people[:, None].astype(float)

    def shared(a, b):
        return float(len(np.intersect1d(a, b)))

    assert floor_of_halves(rows, people, shared, repeats=5).value == 0

    def size(a, b):
        return float(len(a) - len(b))

    assert floor_of_halves(rows, people, size, repeats=5).value == 0


def test_standardised_is_in_deviations_of_the_reference(rng):
    reference = 5 + 3 * rng.standard_normal((40, 2))
    reference[:, 1] = 7  # a channel that is dead
    ours, other = standardised(reference, reference[:1])
    assert ours[:, 0].std() == pytest.approx(1)
    np.testing.assert_allclose(ours[:, 1], 0)
    np.testing.assert_allclose(other, ours[:1])
