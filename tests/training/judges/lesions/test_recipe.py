"""The recipe's batches, loss and what is shown of a slice."""

from __future__ import annotations

import pytest
import torch
from training.data.grids import GRID_SHAPE
from training.data.multimodal import Visit
from training.harness.machine import Machine, generator_of
from training.judges.lesions.augment import another_look
from training.judges.lesions.bank import Bank, stored
from training.judges.lesions.recipe import (
    LesionRecipe,
    LesionSettings,
    draw_shown,
    soft_dice,
    window,
)

X, Y = GRID_SHAPE[:2]


def made_bank(n=4, present=(True, False, True, True)):
    """Grey slices; FLAIR is bright in a square, which is the lesion; a strip is unknown."""
    there = torch.tensor([present] * n)
    images = torch.zeros(n, 4, 3, X, Y)
    images[..., 20:140, 20:170] = 0.5
    images[:, 3, :, 60:90, 60:90] = 1.2
    images *= there[:, :, None, None, None]
    target = torch.zeros(n, X, Y, dtype=torch.bool)
    target[:, 60:90, 60:90] = True
    weight = torch.ones(n, X, Y, dtype=torch.bool)
    weight[:, :30] = False
    return Bank(stored(images), there, target, weight, torch.full((n,), 80))


@pytest.fixture
def recipe():
    settings = LesionSettings(crop=48, widths="4,4", batch=4, steps=10, learning_rate=0.02)
    return LesionRecipe(settings, Machine.of("cpu", "float32"), made_bank())


def test_a_batch_shows_only_what_is_there(recipe):
    batch = recipe.batch(0, generator_of(0, 0))
    assert batch.slices.shape == (4, 4, 3, 48, 48)
    assert batch.target.shape == batch.weight.shape == (4, 1, 48, 48)
    assert not batch.present[:, 1].any()
    assert (batch.present.sum(dim=1) >= 1).all()
    hidden = batch.present == 0
    assert not batch.slices[hidden].any()
    shown = batch.slices[:, 3, 1][batch.present[:, 3] > 0]
    lesion = batch.target[:, 0][batch.present[:, 3] > 0] > 0
    if lesion.any():
        assert shown[lesion].mean() > 0.8


def test_the_same_step_makes_the_same_batch(recipe):
    one, two = (recipe.batch(3, generator_of(0, 3)) for _ in range(2))
    assert torch.equal(one.slices, two.slices)
    assert torch.equal(one.target, two.target)


def test_what_is_unknown_costs_nothing(recipe):
    batch = recipe.batch(0, generator_of(0, 1))
    losses = []
    for flip in (False, True):
        batch.weight[..., :10] = 0
        if flip:
            batch.target[..., :10] = 1 - batch.target[..., :10]
        torch.manual_seed(0)
        (turn,) = recipe.turns(0, batch)
        losses.append(float(turn.loss.detach()))
    assert losses[0] == losses[1]


def test_a_batch_can_be_learnt(recipe):
    torch.manual_seed(0)
    player, losses = recipe.players["judge"], []
    batch = recipe.batch(0, generator_of(0, 0))
    for step in range(25):
        (turn,) = recipe.turns(step, batch)
        player.optimiser.zero_grad()
        turn.loss.backward()
        player.optimiser.step()
        losses.append(float(turn.loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_validation_and_pictures_of_a_subject():
    lesions = torch.zeros(GRID_SHAPE[2], X, Y, dtype=torch.bool)
    lesions[80, 60:90, 60:90] = True
    images = torch.zeros(4, GRID_SHAPE[2], X, Y, dtype=torch.float16)
    images[:, 80, 20:140, 20:170] = 0.5
    subject = Visit("s", "s", images, torch.ones(4) > 0, images[0] > 0, lesions)
    settings = LesionSettings(crop=48, widths="4,4")
    recipe = LesionRecipe(settings, Machine.of("cpu", "float32"), made_bank(), [subject])
    networks = {"judge": recipe.players["judge"].network}
    found = recipe.validate(networks)
    assert set(found) == {"dice_all", "dice_t1_t2", "dice_t1"}
    assert all(0 <= value <= 1 for value in found.values())
    assert recipe.pictures(networks)["subjects"].shape == (Y, 3 * X + 4)
    assert recipe.describe()["architecture"]["widths"] == [4, 4]


def test_shown_modalities_are_a_subset_of_any_size():
    present = torch.tensor([True, True, False, True])
    generator = torch.Generator().manual_seed(0)
    drawn = {tuple(draw_shown(present, generator).int().tolist()) for _ in range(300)}
    # All seven subsets of three that hold something.
    assert len(drawn) == 7
    assert all(d[2] == 0 and sum(d) for d in drawn)


def test_soft_dice_of_halves():
    odds, target = torch.full((1, 1, 20, 20), 0.5), torch.zeros(1, 1, 20, 20)
    target[..., :10] = 1.0
    # 2 * 100 + 20 over 100 + 200 + 20.
    assert float(soft_dice(odds, target)) == pytest.approx(220 / 320)
    # A second example without lesions, and none found, is right.
    both = [torch.cat([t, torch.zeros_like(t)]) for t in (odds, target)]
    assert float(soft_dice(*both)) == pytest.approx((220 / 320 + 1) / 2)


def test_windows_lie_in_the_slice_and_near_the_lesion():
    target = torch.zeros(X, Y, dtype=torch.bool)
    target[0, Y - 1] = True
    inside = torch.ones(X, Y, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    cuts = [window(target, inside, 32, generator) for _ in range(50)]
    assert all(
        c.start >= 0 and c.stop <= n for cut in cuts for c, n in zip(cut, (X, Y), strict=True)
    )
    near = [cut for cut in cuts if cut[0].start == 0 and cut[1].stop == Y]
    assert len(near) > 25


def test_another_look_keeps_the_background_and_the_range():
    images = torch.zeros(2, 4, 3, 16, 16)
    images[..., 4:12, :] = 0.6
    seen = another_look(images, torch.Generator().manual_seed(0))
    assert not seen[images == 0].any()
    assert float(seen.min()) >= 0
    assert float(seen.max()) <= 1.5
    # 0.6 squared and its root, times 0.8 and 1.2; bias and noise are small.
    assert 0.25 < float(seen[images > 0].mean()) < 0.95
    assert not torch.equal(seen[:, 0], seen[:, 3])
