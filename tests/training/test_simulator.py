from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch
from tests.training._heads import SHAPE, same, seeded, write_data
from training.mmhvae.config import GRID_ORIGIN, GRID_SHAPE, MODALITIES
from training.mmhvae.simulate import GROUPS, LOOK, NAMES, Simulator, random_warp, to_model_grid

GRID = np.eye(4)
GRID[:3, 3] = GRID_ORIGIN


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def simulator(data):
    return Simulator(data)


@pytest.fixture(scope="module")
def batch(simulator):
    return simulator.batch(6, seeded())


def test_a_batch_has_slices_with_neighbours_in_all_modalities(batch):
    images, slices = batch
    assert images.shape == (6, len(MODALITIES), 3, *GRID_SHAPE[:2])
    assert slices.shape == (6,)
    assert ((slices >= 1) & (slices <= GRID_SHAPE[2] - 2)).all()


def test_intensities_are_normalised_and_the_background_is_0(batch):
    images, _ = batch
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
    images, _ = simulator.batch(8, seeded(1))
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


def test_batches_follow_from_the_generator_alone(simulator):
    torch.manual_seed(1)
    one = simulator.batch(3, seeded(5))
    torch.manual_seed(2)
    assert same(one, simulator.batch(3, seeded(5)))
    assert not same(one, simulator.batch(3, seeded(6)))


def test_people_held_out_lend_no_lesion(data):
    assert len(Simulator(data, exclude=()).lesions) == 2
    assert len(Simulator(data, exclude=("patient07",)).lesions) == 1
    kept = Simulator(data, exclude=("patient07",)).lesions[0]
    x, y = (np.flatnonzero(kept.any(dim=0).any(dim=d).numpy()) for d in (1, 0))
    # Patient 08's box: voxels 80 to 89 and 100 to 109 of the file, in mm, on the grid.
    np.testing.assert_array_equal(x, np.arange(80, 90) - 60 + 80)
    np.testing.assert_array_equal(y, np.arange(100, 110) - 90 + 115)


def test_every_structure_has_a_look_in_every_modality():
    assert set(LOOK) == set(GROUPS)
    assert all(set(look) == set(MODALITIES) for look in LOOK.values())
    labels = [label for group in GROUPS.values() for label in group]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("orientation", ["LAS", "RAS", "LPI"])
def test_to_model_grid_keeps_every_voxel_s_place(orientation, rng):
    shape = SHAPE
    affine = np.eye(4)
    for axis, (letter, plus) in enumerate(zip(orientation, "RAS", strict=True)):
        affine[axis, axis] = 1 if letter == plus else -1
        affine[axis, 3] = -50.0 if letter == plus else shape[axis] - 51.0
    volume = rng.integers(1, 30_000, shape).astype(np.int16)
    moved = to_model_grid(volume, affine)
    assert moved.shape == GRID_SHAPE
    assert moved.dtype == volume.dtype
    index = np.stack([rng.integers(0, n, 500) for n in GRID_SHAPE], axis=1)
    # By nibabel: grid voxel to world to voxel of the file.
    there = nibabel.affines.apply_affine(np.linalg.inv(affine) @ GRID, index)
    there = np.round(there).astype(int)
    inside = ((there >= 0) & (there < shape)).all(axis=1)
    assert 50 < inside.sum() < 500
    expected = np.where(inside, volume[tuple(np.where(inside[:, None], there, 0).T)], 0)
    np.testing.assert_array_equal(moved[tuple(index.T)], expected)


@pytest.mark.parametrize("affine", [np.diag([2.0, 2, 2, 1]), np.eye(4)[[1, 0, 2, 3]]])
def test_a_grid_that_needs_resampling_is_refused(affine):
    with pytest.raises(ValueError, match="1 mm volumes along the MNI axes"):
        to_model_grid(np.zeros((4, 4, 4)), affine)


def test_warps_are_smooth_and_half_of_them_mirrored():
    where = random_warp(64, seeded())
    assert where.shape == (64, *GRID_SHAPE[:2], 2)
    # Along x the second coordinate rises, or falls where left and right are swapped.
    rise = where[:, -1, 96, 1] - where[:, 0, 96, 1]
    assert ((rise.abs() > 1.5) & (rise.abs() < 2.5)).all()
    assert 16 < int((rise < 0).sum()) < 48
    step = (where[:, 1:, :, 1] - where[:, :-1, :, 1]) * rise.sign()[:, None, None]
    assert (step > 0).float().mean() > 0.999  # hardly a fold
