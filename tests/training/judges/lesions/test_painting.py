"""Painted lesions: where they may be, and which way each modality changes."""

from __future__ import annotations

import pytest
import torch
from training.data.grids import GRID_SHAPE, MODALITIES
from training.judges.lesions.painting import GREY, add_rims, paint, regrey, softened

SHAPE = (2, 3, *GRID_SHAPE[:2])
LEVEL = torch.tensor([[0.8, 0.6, 0.3, 0.7]]).repeat(2, 1)
MIDDLE = (slice(None), slice(None), 1, slice(68, 72), slice(88, 92))


@pytest.fixture
def flat():
    """White matter of uniform intensity in a square; a lesion that reaches beyond it."""
    white = torch.zeros(SHAPE)
    white[..., 60:90, 80:110] = 1.0
    lesion = torch.zeros(SHAPE)
    lesion[..., 50:75, 85:95] = 1.0
    images = LEVEL[:, :, None, None, None] * torch.ones(2, 4, *SHAPE[1:])
    images[..., :10, :] = 0.0
    return images, lesion, white


def test_flair_and_t2_rise_and_t1_falls(flat):
    changed, target = paint(*flat, LEVEL, torch.Generator().manual_seed(0))
    change = (changed - flat[0])[MIDDLE].mean(dim=(-2, -1)) / LEVEL
    signs = {m: float(c) for m, c in zip(MODALITIES, change[0], strict=True)}
    assert signs["FLAIR"] > 0.05
    assert signs["T2"] > 0.07
    assert signs["T1"] < -0.01
    assert target.shape == (2, *GRID_SHAPE[:2])


def test_lesions_stay_in_white_matter_and_in_the_brain(flat):
    images, lesion, white = flat
    changed, target = paint(images, lesion, white, LEVEL, torch.Generator().manual_seed(1))
    assert torch.equal(target, (lesion * white)[:, 1] > 0.5)
    far = torch.ones(SHAPE[1:], dtype=torch.bool)
    far[:, 57:93, 77:113] = False
    assert torch.equal(changed[:, :, far], images[:, :, far])
    outside = images == 0
    assert not changed[outside].any()


def test_a_modality_that_is_missing_stays_missing(flat):
    images, lesion, white = flat
    images[:, 1] = 0.0
    changed, _ = paint(images, lesion, white, LEVEL, torch.Generator().manual_seed(2))
    assert not changed[:, 1].any()


def test_the_edge_is_half_at_the_border():
    step = torch.zeros(1, 1, 21, 21)
    step[..., 10:, :] = 1.0
    soft = softened(step, 1.0)[0, 0, :, 10]
    # The border lies between 9 and 10; a Gaussian is symmetric about it.
    assert float(soft[9] + soft[10]) == pytest.approx(1.0, abs=1e-6)
    assert float(soft[10]) == pytest.approx(0.5 + 0.3989 / 2, abs=0.01)
    assert float(soft[5]) == 0.0
    assert float(soft[15]) == pytest.approx(1.0)


def test_rims_are_bright_in_flair_and_t2_only_and_beside_the_ventricle(flat):
    images, _, white = flat
    ventricle = torch.zeros(SHAPE)
    ventricle[..., 70:75, 90:100] = 1.0
    generator = torch.Generator().manual_seed(3)
    change = add_rims(images, ventricle, white, LEVEL, generator) - images
    brighter = {m: float(change[:, i].max()) for i, m in enumerate(MODALITIES)}
    assert brighter["T1"] == brighter["T1c"] == 0.0
    assert brighter["FLAIR"] > 0.01
    assert brighter["T2"] > 0.005
    far = torch.ones(GRID_SHAPE[:2], dtype=torch.bool)
    far[64:81, 84:106] = False
    assert not change[..., far].any()


def test_grey_matter_changes_and_nothing_else_does(flat):
    images, _, _ = flat
    grey = torch.zeros(SHAPE)
    grey[..., 100:130, 80:110] = 1.0
    changed = regrey(images, grey, LEVEL, torch.Generator().manual_seed(4))
    share = ((changed - images) / LEVEL[:, :, None, None, None])[..., 110:120, 90:100]
    for i, modality in enumerate(MODALITIES):
        low, high = GREY[modality]
        assert low - 1e-6 <= float(share[:, i].min()) <= float(share[:, i].max()) <= high + 1e-6
    assert float(share.abs().max()) > 0.01
    assert torch.equal(changed[..., :95, :], images[..., :95, :])
