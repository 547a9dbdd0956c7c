from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.training._heads import make_visit, same, seeded
from training.mmhvae.config import GRID_SHAPE, MODALITIES
from training.mmhvae.scans import RealSlices, load_visits, normalise, vary

ALL, NO_T1C, NO_T1 = (True,) * 4, (True, False, True, True), (False, False, True, True)


@pytest.fixture(scope="module")
def visits():
    return [make_visit("a", ALL), make_visit("b", NO_T1C, 0.2), make_visit("c", NO_T1, 0.9)]


def test_a_batch_has_one_set_of_modalities(visits):
    slices = RealSlices(visits)
    generator = seeded()
    seen = set()
    for _ in range(12):
        inputs, targets, present, mask, middle = slices.batch(2, generator)
        assert inputs.shape == (2, len(MODALITIES), 3, *GRID_SHAPE[:2])
        assert targets.shape == (2, len(MODALITIES), *GRID_SHAPE[:2])
        assert mask.shape == (2, *GRID_SHAPE[:2])
        assert ((middle >= 60) & (middle < 80)).all()
        for m in range(len(MODALITIES)):
            assert bool(targets[:, m].any()) == bool(present[m])
            assert bool(inputs[:, m].any()) == bool(present[m])
        seen.add(tuple(present.tolist()))
    assert len(seen) > 1


def test_background_stays_0(visits):
    inputs, targets, _, mask, _ = RealSlices(visits).batch(4, seeded(1))
    outside = ~mask[:, None].expand_as(targets)
    assert not targets[outside].any()
    assert not inputs[~mask[:, None, None].expand_as(inputs)].any()
    assert inputs.min() >= 0
    assert inputs.max() <= 1.5


def test_batches_follow_from_the_generator_alone(visits):
    slices = RealSlices(visits)
    torch.manual_seed(1)
    one = slices.batch(2, seeded(3))
    torch.manual_seed(2)
    assert same(one, slices.batch(2, seeded(3)))
    assert not same(one, slices.batch(2, seeded(4)))


def test_a_person_counts_once_however_many_visits():
    twice = [make_visit("a", NO_T1C), make_visit("a", NO_T1C), make_visit("b", NO_T1C)]
    weights = RealSlices(twice).weights
    assert float(weights[0] + weights[1]) == pytest.approx(float(weights[2]))


def test_normalise_by_hand():
    volume = np.full((20, 20, 20), 1e6, np.float32)  # outside the brain: no say in the scale
    mask = np.zeros(volume.shape, bool)
    mask[5:15, 5:15, 5:15] = True
    volume[mask] = np.arange(1, 1001)
    out = normalise(volume, mask)
    # Linear interpolation between the order statistics: 1 + 0.995 * 999.
    np.testing.assert_allclose(out[mask], np.arange(1, 1001) / 995.005, rtol=1e-5)
    assert not out[~mask].any()


def test_normalise_clips_vessels():
    volume = np.ones((20, 20, 20), np.float32)
    volume[0, 0, :5] = 30
    assert normalise(volume, np.ones(volume.shape, bool)).max() == 1.5


def test_vary_changes_brightness_but_not_the_background():
    images = torch.zeros(3, 4, 3, *GRID_SHAPE[:2])
    images[:, :, :, 40:120, 50:150] = 0.6
    out = vary(images, seeded())
    assert torch.equal(out > 0, images > 0)
    assert out.max() <= 1.5
    means = out[:, :, 1, 40:120, 50:150].mean(dim=(2, 3))
    assert means.std() > 0.02
    assert abs(float(means.mean()) - 0.6) < 0.15


@pytest.mark.real
def test_real_visits_are_on_the_model_s_grid(shared):
    visits = {v.name: v for v in load_visits(shared / "data")}
    assert visits["patient07"].present.tolist() == [True] * 4
    assert visits["patient03_visit1"].present.tolist() == [False, False, True, True]
    one = visits["patient01_visit1"]
    assert one.person == "patient01"
    assert 1.5e6 < int(one.mask.sum()) < 2.1e6  # mm³: hardly any brain lies off the grid
    assert not one.images[:, ~one.mask].any()
