from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.training.mmhvae._made import TINY, Slices, seeded
from torch import nn
from training.harness.machine import Machine
from training.mmhvae import adversarial
from training.mmhvae.adversarial import Discriminator, critics, freeze, passing, telling_apart
from training.mmhvae.config import ARCHITECTURES, Config
from training.mmhvae.imputation import Material
from training.mmhvae.recipe import MMHVAERecipe


class Mean(nn.Module):
    """A discriminator that a hand can follow: factor times mean intensity."""

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images):
        return self.factor * images.mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def by_hand():
    return nn.ModuleDict({"T1": Mean(1.0), "T2": Mean(2.0)})


def flat(value):
    return torch.full((2, 1, 4, 4), value, requires_grad=True)


def test_the_published_discriminator():
    # Counted by hand from the released layers (github.com/ReubenDo/MMHVAE).
    discriminator = Discriminator()
    assert sum(p.numel() for p in discriminator.parameters()) == 4_856_257
    with torch.inference_mode():
        assert discriminator(torch.zeros(1, 1, 192, 192)).shape == (1, 1, 1, 1)
        assert discriminator(torch.zeros(1, 1, 160, 192)).shape == (1, 1, 1, 1)


def test_small_images_are_centred_in_background():
    discriminator = Discriminator(features=4)
    image = torch.rand(1, 1, 96, 96, generator=seeded())
    padded = torch.zeros(1, 1, 192, 192)
    padded[:, :, 48:144, 48:144] = image
    assert torch.equal(discriminator(image), discriminator(padded))


def test_passing_by_hand(by_hand):
    images = {"T1": flat(0.5), "T2": flat(0.25)}
    loss = passing(by_hand, images)
    assert loss.item() == pytest.approx(((0.5 - 1) ** 2 + (0.5 - 1) ** 2) / 2)
    loss.backward()
    assert (images["T1"].grad < 0).all()  # brighter would pass


def test_telling_apart_by_hand(by_hand):
    real, fake = {"T1": flat(0.5), "T2": flat(0.5)}, {"T2": flat(0.25)}
    loss = telling_apart(by_hand, real, fake)
    assert loss.item() == pytest.approx((0.5**2 + 0.0**2) / 2 + 0.5**2)
    loss.backward()
    assert real["T1"].grad is None
    assert fake["T2"].grad is None
    assert by_hand["T2"].factor.grad is not None


def test_frozen_critics_pass_gradients_on_but_take_none(by_hand):
    freeze(by_hand, True)
    images = {"T1": flat(0.5)}
    passing(by_hand, images).backward()
    assert by_hand["T1"].factor.grad is None
    assert images["T1"].grad is not None
    freeze(by_hand, False)
    assert all(p.requires_grad for p in by_hand.parameters())


# ---- in the recipe ---------------------------------------------------------------------


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    monkeypatch.setattr(adversarial, "critics", lambda m: critics(m, features=2))
    config = Config(
        network="tiny", steps=100, batch=2, real=1.0, adversarial_weight=0.5, adversarial_from=0.5
    )
    return MMHVAERecipe(config, Machine.of("cpu", "float32"), Material(real=Slices()))


def turns(recipe, step, fed):
    batch = replace(recipe.batch(step, seeded(1)), fed=fed)
    return {turn.player: turn for turn in recipe.turns(step, batch)}


def test_discriminators_start_before_they_count(recipe):
    assert set(turns(recipe, 48, [0])) == {"network"}
    early = turns(recipe, 49, [0])
    assert set(early) == {"network", "critics"}
    assert "real_passing" not in early["network"].terms
    assert "real_passing" in turns(recipe, 50, [0])["network"].terms


def test_from_everything_nothing_has_to_pass(recipe):
    everything = turns(recipe, 60, [0, 2, 3])
    assert set(everything) == {"network"}
    assert "real_passing" not in everything["network"].terms


def test_the_term_is_added_with_its_weight(recipe):
    torch.manual_seed(0)
    with_it = turns(recipe, 50, [0])["network"]
    recipe.config = replace(recipe.config, adversarial_weight=0.0)
    torch.manual_seed(0)
    without = turns(recipe, 50, [0])["network"]
    added = (with_it.loss - without.loss).item()
    assert added == pytest.approx(0.5 * with_it.terms["real_passing"].item(), rel=1e-3)


def test_only_what_was_not_read_is_told_from_real(recipe, monkeypatch):
    given = []
    original = adversarial.telling_apart
    monkeypatch.setattr(adversarial, "telling_apart", lambda *a: (given.append(a), original(*a))[1])
    turns(recipe, 60, [0])
    _, real, fake = given[0]
    assert (set(real), set(fake)) == ({"T1", "T2", "FLAIR"}, {"T2", "FLAIR"})


def test_without_weight_there_are_no_discriminators(recipe):
    config = replace(recipe.config, adversarial_weight=0.0)
    plain = MMHVAERecipe(config, recipe.machine, recipe.material)
    assert set(plain.players) == {"network"}
    assert set(turns(plain, 99, [0])) == {"network"}
