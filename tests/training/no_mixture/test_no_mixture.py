from __future__ import annotations

import torch
from tests.training.mmhvae._made import TINY, Slices, seeded
from training.harness.machine import Machine
from training.mmhvae.config import ARCHITECTURES, Config
from training.mmhvae.imputation import Material
from training.mmhvae.recipe import MMHVAERecipe
from training.no_mixture.recipe import NoMixtureRecipe


def test_same_network_and_slices_but_never_a_smaller_subset(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    config = Config(network="tiny", steps=10, batch=2, real=1.0)
    made = []
    for kind in (MMHVAERecipe, NoMixtureRecipe):
        torch.manual_seed(0)
        made.append(kind(config, Machine.of("cpu", "float32"), Material(None, Slices())))
    with_it, without = made
    states = [recipe.network.state_dict() for recipe in made]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    batches = [(with_it.batch(k, seeded(k)), without.batch(k, seeded(k))) for k in range(30)]
    assert all(torch.equal(a.targets, b.targets) for a, b in batches)
    assert {len(b.fed) for _, b in batches} == {2}
    assert {len(a.fed) for a, _ in batches} == {1, 2, 3}
