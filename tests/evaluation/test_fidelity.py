from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from napari_medsyn.evaluation.fidelity import (
    SMALLEST_SLICE,
    coverage,
    fidelity,
    spread_against_error,
)

SHAPE = (50, 60, 4)


@pytest.fixture
def mask():
    inside = np.zeros(SHAPE, bool)
    inside[5:45, 5:55, :3] = True  # 2,000 voxels a slice, none in the last
    inside[:, :, 2] = False
    inside[5:35, 5:55, 2] = True  # 1,500: not more than the least
    return inside


@pytest.fixture
def reference(rng, mask):
    return np.where(mask, rng.uniform(0.2, 0.9, SHAPE), 0).astype(np.float32)


def test_psnr_by_hand(reference, mask):
    # A constant error of 0.05 over 2,000 of 3,000 voxels; the range of each slice is its own.
    imputed = reference + np.float32(0.05)
    error = 0.05**2 * 2000 / 3000
    expected = np.mean([10 * np.log10(reference[:, :, k].max() ** 2 / error) for k in (0, 1)])
    score = fidelity(reference, imputed, mask)
    assert score.slices == 2
    assert score.psnr == pytest.approx(expected, abs=1e-4)


def test_identical_images(reference, mask):
    score = fidelity(reference, reference, mask)
    assert score.ssim == pytest.approx(1)
    assert score.psnr > 100


def test_what_lies_outside_the_mask_is_not_looked_at(reference, mask, rng):
    imputed = np.where(mask, reference + 0.05, 0)
    dirty = np.where(mask, imputed, rng.uniform(0, 1, SHAPE))
    assert fidelity(reference, dirty, mask) == fidelity(reference, imputed, mask)


def test_the_score_does_not_depend_on_units(reference, mask, rng):
    imputed = reference + rng.normal(0, 0.05, SHAPE)
    one, other = (fidelity(f * reference, f * imputed, mask) for f in (1, 700))
    assert one.psnr == pytest.approx(other.psnr, abs=1e-4)
    assert one.ssim == pytest.approx(other.ssim, abs=1e-6)


def test_more_noise_scores_worse(reference, mask, rng):
    noise = rng.normal(0, 1, SHAPE)
    scores = [fidelity(reference, reference + s * noise, mask) for s in (0.02, 0.05, 0.1)]
    for better, worse in pairwise(scores):
        assert better.psnr > worse.psnr
        assert better.ssim > worse.ssim


def test_structure_counts_in_both_directions(mask):
    # SSIM of two dimensions, not of rows: stripes along either axis are structure.
    x, y = np.meshgrid(np.arange(50), np.arange(60), indexing="ij")
    for stripes in (x, y):
        image = np.repeat((0.5 + 0.4 * np.sin(stripes))[:, :, None], 4, axis=2)
        blurred = np.full(SHAPE, 0.5)
        assert fidelity(image, blurred, mask).ssim < 0.5


def test_a_slice_that_was_not_scanned_is_not_scored(reference, mask):
    reference[:, :, 1] = 0
    score = fidelity(reference, reference + np.float32(0.1), mask)
    assert score.slices == 1
    assert np.isfinite([score.psnr, score.ssim]).all()


def test_too_little_brain_is_refused(reference, mask):
    mask[:, :, :2] = False
    with pytest.raises(ValueError, match=f"more than {SMALLEST_SLICE} brain voxels"):
        fidelity(reference, reference, mask)


def test_spread_that_ranks_errors_right_and_wrong(mask, rng):
    error = rng.normal(0, 1, SHAPE)
    assert spread_against_error(error**2, error, mask) == pytest.approx(1)
    assert spread_against_error(-np.abs(error), error, mask) == pytest.approx(-1)
    assert abs(spread_against_error(rng.uniform(0, 1, SHAPE), error, mask)) < 0.1


def test_spread_of_a_sample_of_the_voxels(mask, rng):
    std = rng.uniform(0.1, 1, SHAPE)
    error = std * rng.normal(0, 1, SHAPE)
    whole = spread_against_error(std, error, mask)
    assert 0.3 < whole < 0.7
    assert spread_against_error(std, error, mask, most=1000) == pytest.approx(whole, abs=0.1)


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 0.9), (0.5, 0.5891), (2.0, 0.9990)])
def test_coverage_of_gaussian_errors(mask, rng, factor, expected):
    # 0.5891 = P(|z| < 1.6449 / 2), 0.9990 = P(|z| < 2 * 1.6449).
    std = rng.uniform(0.5, 2, SHAPE)
    error = std * rng.normal(0, 1, SHAPE)
    assert coverage(factor * std, error, mask) == pytest.approx(expected, abs=0.02)
