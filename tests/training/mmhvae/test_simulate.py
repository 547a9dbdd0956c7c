from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.training.mmhvae._made import make_label_maps, make_lesions, same, seeded
from training.mmhvae.config import GRID_SHAPE, MODALITIES
from training.mmhvae.pool import CHUNK, Pool
from training.mmhvae.simulate import GROUPS, LOOK, NAMES, Simulator, random_warp, spots


@pytest.fixture(scope="module")
def simulator():
    return Simulator(make_label_maps(), make_lesions())


@pytest.fixture(scope="module")
def batch(simulator):
    return simulator.batch(6, seeded())


def test_a_batch_has_slices_with_neighbours_in_all_modalities(batch):
    images, lesion, slices = batch
    assert images.shape == (6, len(MODALITIES), 3, *GRID_SHAPE[:2])
    assert lesion.shape == (6, *GRID_SHAPE[:2])
    assert slices.shape == (6,)
    assert ((slices >= 1) & (slices <= GRID_SHAPE[2] - 2)).all()


def test_intensities_are_normalised_and_the_background_is_0(batch):
    images, _, _ = batch
    assert images.isfinite().all()
    assert images.max() < 2
    brain = images.abs().sum(dim=1) > 0
    # A brain fills some of each slice, never all of it, and the corners are background.
    share = brain.float().mean(dim=(1, 2, 3))
    assert ((share > 0.05) & (share < 0.9)).all()
    assert not images[..., :4, :4].any()
    # Background is background in all modalities at once.
    middle = images[:, :, 1]
    outside = middle.abs().sum(dim=1) == 0
    assert all(not middle[:, m][outside].any() for m in range(len(MODALITIES)))


def test_contrast_is_the_modality_s(simulator):
    images, _, _ = simulator.batch(8, seeded(1))
    groups = {"white": [], "ventricle": []}
    for name in groups:
        number = NAMES.index(name) + 1
        middle = simulator.groups == number
        assert middle.any()
    # On average over protocols: fluid is bright in T2 and dark in the others.
    t1, _, t2, flair = (images[:, m, 1] for m in range(4))
    brightest = t2.flatten(1).quantile(0.97, dim=1)
    fluid = t2 > 0.9 * brightest[:, None, None]
    assert t1[fluid].mean() < 0.5 < t2[fluid].mean()
    assert flair[fluid].mean() < 0.6


def test_lesions_are_known_and_bright_in_flair(simulator):
    laden = Simulator(make_label_maps(), make_lesions(), laden=1.0)
    images, lesion, _ = laden.batch(6, seeded(2))
    plain = simulator.batch(6, seeded(2))[1]
    assert lesion.min() >= 0
    assert lesion.max() <= 1
    assert (lesion.flatten(1).amax(dim=1) > 0.5).float().mean() > (
        plain.flatten(1).amax(dim=1) > 0.5
    ).float().mean()
    flair = images[:, MODALITIES.index("FLAIR"), 1]
    inside = (lesion > 0.9) & (flair > 0)
    assert flair[inside].mean() > 1.2 * flair[(lesion == 0) & (flair > 0)].mean()


def test_laden_slices_lie_where_the_patient_has_lesions():
    laden = Simulator(make_label_maps(), make_lesions(), laden=1.0)
    _, lesion, slices = laden._draw(12, seeded())
    assert lesion[:, 1].flatten(1).any(dim=1).all()
    assert len(set(slices.tolist())) > 3


def test_lesions_lie_in_white_matter_and_the_stem_alone():
    groups = torch.arange(len(NAMES) + 1).view(1, 1, 1, -1).expand(1, 3, 2, -1)
    there = spots(groups, torch.ones(groups.shape))[0, 1, 0]
    assert [NAMES[i - 1] for i in there.nonzero()[:, 0]] == ["white", "stem"]


def test_batches_follow_from_the_generator_alone(simulator):
    torch.manual_seed(1)
    one = simulator.batch(3, seeded(5))
    torch.manual_seed(2)
    assert same(one, simulator.batch(3, seeded(5)))
    assert not same(one, simulator.batch(3, seeded(6)))


def test_maps_and_lesions_lie_where_they_are_in_the_head(simulator):
    assert len(simulator.groups) == len(simulator.lesions) == 2
    kept = simulator.lesions[1]
    x, y = (np.flatnonzero(kept.any(dim=0).any(dim=d).numpy()) for d in (1, 0))
    # The box: voxels 80 to 89 and 100 to 109 of the file, in mm, on the grid.
    np.testing.assert_array_equal(x, np.arange(80, 90) - 60 + 80)
    np.testing.assert_array_equal(y, np.arange(100, 110) - 90 + 115)


def test_every_structure_has_a_look_in_every_modality():
    assert set(LOOK) == set(GROUPS)
    assert all(set(look) == set(MODALITIES) for look in LOOK.values())
    labels = [label for group in GROUPS.values() for label in group]
    assert len(labels) == len(set(labels))


def test_warps_are_smooth_and_half_of_them_mirrored():
    where = random_warp(64, seeded())
    assert where.shape == (64, *GRID_SHAPE[:2], 2)
    # Along x the second coordinate rises, or falls where left and right are swapped.
    rise = where[:, -1, 96, 1] - where[:, 0, 96, 1]
    assert ((rise.abs() > 1.5) & (rise.abs() < 2.5)).all()
    assert 16 < int((rise < 0).sum()) < 48
    step = (where[:, 1:, :, 1] - where[:, :-1, :, 1]) * rise.sign()[:, None, None]
    assert (step > 0).float().mean() > 0.999  # hardly a fold


# ---- the pool --------------------------------------------------------------------------


class Counting:
    """A simulator whose slices say which generator made them."""

    def batch(self, n, generator):
        number = torch.rand((), generator=generator)
        images = torch.full((n, 4, 3, 2, 2), float(number))
        return images, images[:, 0, 0], torch.arange(n)


def test_a_pool_is_what_it_is_however_it_was_reached():
    slowly, at_once = (Pool(Counting(), 3 * CHUNK, seed=1) for _ in range(2))
    for made in range(9):
        slowly.advance(made)
    at_once.advance(8)
    assert len(slowly.images) == 3
    assert same(slowly.images, at_once.images)
    assert same(slowly.draw(20, seeded()), at_once.draw(20, seeded()))
    assert len(set(slowly.draw(40, seeded())[0][:, 0, 0, 0, 0].tolist())) == 3


def test_a_pool_is_made_of_whole_chunks():
    with pytest.raises(ValueError, match="must be a multiple of"):
        Pool(Counting(), CHUNK + 1, seed=0)
