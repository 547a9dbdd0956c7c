"""What the calibration finds is what was put in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training.compare.imputers import Imputed
from training.data.multimodal import Visit
from training.mmhvae.calibrate import Answer, answers, covered, std_scale


def made(factor: float, seed: int = 0) -> Answer:
    """An image with `factor` times the error that it claims."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(0.3, 1.0, 20_000).astype(np.float32)
    std = rng.uniform(0.01, 0.05, mean.shape).astype(np.float32)
    error = factor * std * rng.standard_normal(mean.shape).astype(np.float32)
    return Answer(mean + error, mean, std)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_scale_of_normal_errors_is_found(factor):
    found = [made(factor, seed) for seed in range(3)]
    scale = std_scale(found)
    assert scale == pytest.approx(factor, rel=0.03)
    assert covered(found, scale) == pytest.approx(0.9, abs=0.002)


def test_another_share_can_be_asked_for():
    found = [made(1.0)]
    assert covered(found, std_scale(found, wanted=0.5)) == pytest.approx(0.5, abs=0.002)


def test_every_image_counts_the_same_whatever_its_size():
    small = Answer(*(np.array(x, np.float32) for x in ([9], [1], [1])))
    large = Answer(*(np.full(99, x, np.float32) for x in (1, 1, 1)))
    assert covered([small, large], 1.0) == 0.5


def test_coverage_counts_by_hand():
    # Errors of 0 to 3 standard deviations; the interval reaches to 1.645.
    one = Answer(*(np.array(x, np.float32) for x in ([1, 2, 3, 4], [1, 1, 1, 1], [1, 1, 1, 1])))
    assert covered([one], 1.0) == 0.5
    assert covered([one], 1.3) == 0.75


def visit() -> Visit:
    images = torch.full((4, 2, 40, 40), 0.5, dtype=torch.float16)
    images[1] = 0
    present = torch.tensor([True, False, True, True])
    mask = torch.ones(2, 40, 40, dtype=torch.bool)
    return Visit("msv-12", "msv-12_visit1", images, present, mask)


def test_every_modality_is_asked_for_from_the_others_and_from_t1():
    asked = []

    def imputer(visit, present, slices):
        asked.append(tuple(present))
        plane = np.full((40, 40, len(slices)), 0.4, np.float32)
        planes = dict.fromkeys(("T1", "T2", "FLAIR"), plane)
        return Imputed(planes, planes)

    found = answers(imputer, [visit()], every=1)
    assert sorted(asked) == sorted([("T2", "FLAIR"), ("T1", "FLAIR"), ("T1", "T2"), ("T1",)])
    assert len(found) == 5
    for answer in found:
        np.testing.assert_allclose(answer.real - answer.mean, 0.1, atol=1e-3)


def test_a_model_without_a_standard_deviation_is_refused():
    with pytest.raises(ValueError, match="no standard deviation"):
        answers(lambda *_: Imputed({}, None), [visit()], every=1)
