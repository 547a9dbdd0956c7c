"""What the calibration finds is what was put in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training.compare.imputers import Imputed
from training.data.multimodal import Visit
from training.mmhvae.calibrate import (
    Answer,
    answers,
    covered,
    gain_spread,
    std_scale,
)


def made(gain: float, factor: float, seed: int = 0, modality: str = "T2") -> Answer:
    """A scan `gain` times as bright as imputed, with `factor` times the error that is claimed."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(0.3, 1.0, 20_000).astype(np.float32)
    std = rng.uniform(0.01, 0.05, mean.shape).astype(np.float32)
    error = factor * std * rng.standard_normal(mean.shape).astype(np.float32)
    return Answer(modality, gain * mean + error, mean, std)


def test_a_gain_is_the_factor_of_brightness():
    assert made(1.2, 0.0).gain == pytest.approx(1.2, rel=1e-5)


def test_the_spread_of_gains_is_their_root_mean_square():
    found = [made(1.1, 0.0), made(0.8, 0.0), made(1.05, 0.0, modality="T1")]
    spread = gain_spread(found)
    assert spread["T2"] == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 2), rel=1e-4)
    assert spread["T1"] == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_scale_of_normal_errors_is_found(factor):
    found = [made(1.0, factor, seed) for seed in range(3)]
    scale = std_scale(found, {})
    assert scale == pytest.approx(factor, rel=0.03)
    assert covered(found, scale, {}) == pytest.approx(0.9, abs=0.002)


def test_an_unknown_gain_leaves_less_to_the_scale():
    found = [made(1.1, 1.0)]
    assert std_scale(found, {"T2": 0.1}) < std_scale(found, {})


def test_nothing_is_added_where_the_gain_explains_all():
    found = [made(1.0, 0.1)]
    assert std_scale(found, {"T2": 1.0}) == pytest.approx(0.0, abs=1e-6)
    assert covered(found, 0.0, {"T2": 1.0}) > 0.99


def test_coverage_counts_by_hand():
    one = Answer(
        "T2", *(np.array(x, np.float32) for x in ([1, 2, 3, 4], [1, 1, 1, 1], [1, 1, 1, 1]))
    )
    assert covered([one], 1.0, {}) == 0.5


def visit() -> Visit:
    images = torch.full((4, 2, 40, 40), 0.5, dtype=torch.float16)
    images[1] = 0
    present = torch.tensor([True, False, True, True])
    return Visit(
        "msv-12", "msv-12_visit1", images, present, torch.ones(2, 40, 40, dtype=torch.bool)
    )


def test_every_modality_is_asked_for_from_the_others_and_from_t1():
    asked = []

    def imputer(visit, present, slices):
        asked.append(tuple(present))
        plane = np.full((40, 40, len(slices)), 0.4, np.float32)
        return Imputed(
            dict.fromkeys(("T1", "T2", "FLAIR"), plane), dict.fromkeys(("T1", "T2", "FLAIR"), plane)
        )

    found = answers(imputer, [visit()], every=1)
    assert sorted(asked) == sorted([("T2", "FLAIR"), ("T1", "FLAIR"), ("T1", "T2"), ("T1",)])
    assert len(found) == 5
    assert [answer.gain for answer in found] == pytest.approx([1.25] * 5, rel=1e-3)


def test_a_model_without_a_standard_deviation_is_refused():
    with pytest.raises(ValueError, match="no standard deviation"):
        answers(lambda *_: Imputed({}, None), [visit()], every=1)
