"""Agreement of lesions, counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from training.data.multimodal import Visit
from training.judges.lesions.scoring import agreement, drawn, overlap, tolerant_overlap, volumes


@pytest.fixture
def masks():
    """Drawn: a rod of 4 and a voxel; found: the rod moved along by 2, and one far away."""
    truth, found = np.zeros((9, 9, 3), bool), np.zeros((9, 9, 3), bool)
    truth[1:5, 4, 1] = truth[8, 8, 0] = True
    found[3:7, 4, 1] = found[0, 0, 2] = True
    return found, truth


def test_agreement_of_rods(masks):
    result = agreement(*masks)
    assert result.dice == pytest.approx(2 * 2 / 10)
    # Of the rods 3 and 3 voxels lie within one voxel of the other.
    assert result.dice_tolerant == pytest.approx(6 / 10)
    assert (result.drawn, result.found) == (2, 2)
    assert result.sensitivity == 0.5
    assert result.false_lesions == 1
    assert result.drawn_ml == pytest.approx(0.005)


def test_the_same_mask_agrees_wholly(masks):
    result = agreement(masks[1], masks[1])
    assert (result.dice, result.dice_tolerant, result.sensitivity) == (1, 1, 1)
    assert result.false_lesions == 0


def test_nothing_is_nan_and_all_missed_is_zero(masks):
    nothing = np.zeros_like(masks[1])
    assert math.isnan(overlap(nothing, nothing))
    assert math.isnan(tolerant_overlap(nothing, nothing))
    assert math.isnan(agreement(masks[0], nothing).sensitivity)
    result = agreement(nothing, masks[1])
    assert (result.dice, result.dice_tolerant, result.sensitivity) == (0, 0, 0)


def visit(lesions=None):
    images = torch.zeros(4, 2, 3, 5, dtype=torch.float16)
    images[3, 1, 2, 4] = 1.0
    present = torch.tensor([True, False, False, True])
    return Visit("p", "p_visit1", images, present, torch.ones(2, 3, 5, dtype=torch.bool), lesions)


def test_volumes_are_those_there_with_slices_last():
    found = volumes(visit(), ("T2", "FLAIR"))
    assert list(found) == ["FLAIR"]
    assert found["FLAIR"].shape == (3, 5, 2)
    assert found["FLAIR"][2, 4, 1] == 1.0


def test_drawn_needs_a_drawing():
    lesions = torch.zeros(2, 3, 5, dtype=torch.bool)
    lesions[1, 2, 4] = True
    assert np.argwhere(drawn(visit(lesions))).tolist() == [[2, 4, 1]]
    with pytest.raises(ValueError, match="p_visit1 has no mask of all lesions"):
        drawn(visit())
