from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.training.mmhvae._made import make_visit, same, seeded
from training.mmhvae.config import GRID_SHAPE, MODALITIES
from training.mmhvae.scans import RealSlices, pretended_contrast, vary

ALL, NO_T1C, NO_T1 = (True,) * 4, (True, False, True, True), (False, False, True, True)


@pytest.fixture(scope="module")
def visits():
    return [make_visit("a", ALL), make_visit("b", NO_T1C, 0.2), make_visit("c", NO_T1, 0.9)]


def test_a_batch_has_one_set_of_modalities(visits):
    slices = RealSlices(visits)
    generator = seeded()
    seen = set()
    for _ in range(12):
        inputs, targets, present, mask, _, middle = slices.batch(2, generator)
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
    inputs, targets, _, mask, _, _ = RealSlices(visits).batch(4, seeded(1))
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


def test_a_glioma_counts_half_and_all_modalities_count_twice():
    visits = [make_visit("glioma-00001", ALL), make_visit("msv-01", NO_T1C), make_visit("a", ALL)]
    assert RealSlices(visits).weights.tolist() == [0.5, 1.0, 2.0]


def test_a_pretended_contrast_is_a_darker_t1_with_bright_vessels():
    t1 = make_visit("a", NO_T1C).images[0, None, 69:72].float()
    out = pretended_contrast(t1, seeded(2))
    assert torch.equal(out > 0, t1 > 0)
    assert 0.3 < float(out[t1 > 0].mean() / t1[t1 > 0].mean()) < 1.05


def test_lesions_that_somebody_drew_are_known(visits):
    drawn = torch.zeros_like(visits[1].mask)
    drawn[:, 70:90, 80:120] = True
    changed = RealSlices([replace(visits[1], lesion_change=drawn)]).batch(3, seeded(2))[4]
    assert changed.shape == (3, *GRID_SHAPE[:2])
    assert (changed.mean(dim=(1, 2)) * changed[0].numel() / 800 > 0.05).all()
    nobody = RealSlices([visits[1]]).batch(3, seeded(2))
    assert not nobody[4].any()


def test_painted_lesions_are_known_and_seen_by_all_modalities(visits, monkeypatch):
    masks = torch.zeros(1, GRID_SHAPE[2], *GRID_SHAPE[:2], dtype=torch.uint8)
    masks[:, :, 60:100, 80:120] = 1
    # The made-up visit has one tissue, so Otsu cannot find its white matter.
    monkeypatch.setattr("training.mmhvae.lesions._white", lambda visit, _: visit.mask)
    plain = RealSlices([visits[1]]).batch(3, seeded(2))
    some = RealSlices([visits[1]], masks, painted=1.0).batch(3, seeded(2))
    lesion = some[4]
    assert (lesion.flatten(1).amax(dim=1) > 0.9).all()
    change = some[1] - plain[1]
    flair, t1 = MODALITIES.index("FLAIR"), MODALITIES.index("T1")
    assert (change[:, flair][lesion > 0.9] > 0.01).all()
    assert (change[:, t1][lesion > 0.9] < 0).all()
    assert not change[:, flair][lesion == 0].any()
    assert not RealSlices([visits[1]], masks, painted=0.0).batch(3, seeded(2))[4].any()


def test_vary_changes_brightness_but_not_the_background():
    images = torch.zeros(3, 4, 3, *GRID_SHAPE[:2])
    images[:, :, :, 40:120, 50:150] = 0.6
    out = vary(images, seeded())
    assert torch.equal(out > 0, images > 0)
    assert out.max() <= 1.5
    means = out[:, :, 1, 40:120, 50:150].mean(dim=(2, 3))
    assert means.std() > 0.02
    assert abs(float(means.mean()) - 0.6) < 0.15
