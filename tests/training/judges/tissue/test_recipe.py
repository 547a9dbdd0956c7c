"""The recipe learns made brains in seconds; its measures are checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.training.judges._people import AFFINE, SHAPE, made_people
from training.harness.machine import Machine, generator_of
from training.harness.run import Run
from training.judges.tissue.classes import TISSUES, tissues_of
from training.judges.tissue.recipe import (
    IGNORED,
    TissueRecipe,
    TissueSettings,
    atlas_of,
    dice,
    soft_dice,
)

CPU = Machine(torch.device("cpu"), "float32")


def settings(**changes):
    values = {"steps": 12, "batch": 1, "crop": 12, "widths": "4,8,8", "precision": "float32"}
    return TissueSettings(**{**values, **changes})


def recipe(**changes):
    return TissueRecipe(settings(**changes), CPU, made_people(("ixi-012", "ixi-013")))


def test_a_batch_shows_scan_atlas_and_target_of_the_same_place():
    batch = recipe(batch=3, atlas_shift=0).batch(0, generator_of(0, 0))
    assert batch.t1.shape == (3, 1, 12, 12, 12)
    assert batch.atlas.shape == (3, len(TISSUES), 6, 6, 6)
    assert batch.target.shape == (3, 12, 12, 12)
    # Everybody is alike but for ventricles and one corner: where the atlas is sure it is right.
    sure = batch.atlas.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)
    for atlas, target, t1 in zip(sure, batch.target, batch.t1, strict=True):
        known = (atlas.max(dim=0).values > 0.999) & (target != IGNORED)
        assert known.sum() > 100
        assert (atlas.argmax(dim=0)[known] == target[known]).all()
        assert (target[t1[0] > 0] != IGNORED).all()


def test_training_gets_better_and_ends_with_a_network_that_can_be_loaded(tmp_path):
    run = Run(recipe(), settings(), tmp_path / "run")
    first = run.recipe.batch(0, generator_of(1, 0))
    losses = []
    for _ in range(2):
        with torch.no_grad():
            losses.append(float(next(run.recipe.turns(0, first)).loss))
        if len(losses) == 1:
            assert run.go()
    assert losses[1] < 0.8 * losses[0]
    found = run.recipe.validate(run.networks)
    assert set(found) <= {f"dice_{tissue.key}" for tissue in TISSUES}
    assert run.recipe.describe()["architecture"] == {
        "classes": len(TISSUES),
        "widths": [4, 8, 8],
        "shape": list(SHAPE),
    }


def test_the_atlas_is_the_mean_over_people_and_sides_at_half_resolution():
    tissues = np.zeros((2, 4, 4, 4), np.uint8)
    tissues[0, 0] = 1  # one of two people, one of four planes: seen on both sides at a quarter
    atlas = atlas_of(tissues, (4, 4, 8))
    assert atlas.shape == (len(TISSUES), 2, 2, 4)
    np.testing.assert_allclose(atlas[0, :, :, :2], 0.125)
    assert (atlas[0, :, :, 2:] == 0).all()
    assert (atlas[1:] == 0).all()


def test_dice_by_hand():
    truth = np.array([1, 1, 1, 2, 0, 0], np.uint8)
    ours = np.array([1, 1, 2, 2, 1, 3], np.uint8)
    values = dice(ours, truth)
    # Unlabelled voxels count for nobody; the third tissue is nowhere.
    assert values[:3] == pytest.approx([2 * 2 / (2 + 3), 2 * 1 / (2 + 1), 1.0])


def test_soft_dice_of_certain_answers_is_dice_and_ignores_what_is_not_labelled():
    target = torch.tensor([0, 0, 0, 1, IGNORED, IGNORED]).reshape(1, 6, 1, 1)
    ours = torch.tensor([0, 0, 1, 1, 0, 2])
    logits = 100.0 * torch.nn.functional.one_hot(ours, 3).T.reshape(1, 3, 6, 1, 1).float()
    expected = (2 * 2 / (2 + 3) + 2 * 1 / (2 + 1)) / 2
    assert float(soft_dice(logits, target)) == pytest.approx(expected, abs=1e-5)
    nothing = torch.full_like(target, IGNORED)
    assert float(soft_dice(logits, nothing)) == 0


def test_made_people_are_what_the_tests_think():
    folk = made_people(("ixi-012",))
    assert set(np.unique(tissues_of(folk.labels))) == {0, 1, 2, 7}
    assert folk.affine is AFFINE
