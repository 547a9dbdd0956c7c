from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.training.mmhvae._made import Slices, seeded, small_visit
from training.compare.scoring import brain
from training.harness.machine import Machine
from training.harness.run import Run
from training.mmhvae.config import ARCHITECTURES, Config
from training.mmhvae.imputation import Material
from training.unet.network import Layout, UNet
from training.unet.recipe import UNetImputer, UNetRecipe

from napari_medsyn.models.mmhvae import MMHVAE, Topology

SMALL = Layout(widths=(8, 8), head_features=8)
CONFIG = Config(steps=30, batch=2, real=1.0, precision="float32", learning_rate=3e-3)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return UNet(SMALL)


def images():
    return torch.rand(2, 4, 3, 16, 24, generator=seeded()), torch.zeros(2, 3, 8, 12)


def test_it_is_as_large_as_the_compact_mmhvae():
    sizes = [
        sum(p.numel() for p in net.parameters())
        for net in (UNet(Layout()), MMHVAE(Topology.from_card(ARCHITECTURES["compact"])))
    ]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


def test_all_modalities_come_out_at_full_size(network):
    x, where = images()
    mean, log_scale = network(x, [0], where, ["T1c", "FLAIR"])
    assert set(mean) == set(log_scale) == {"T1c", "FLAIR"}
    assert mean["FLAIR"].shape == log_scale["FLAIR"].shape == (2, 1, 16, 24)


def test_what_is_not_fed_changes_nothing_but_being_fed_does(network):
    x, where = images()
    other = x.clone()
    other[:, 2:] = 0.5
    one, two = (network(v, [0, 1], where, ["T2"])[0]["T2"] for v in (x, other))
    assert torch.equal(one, two)
    assert not torch.equal(one, network(x, [0, 1, 2], where, ["T2"])[0]["T2"])
    # A present modality that is 0 everywhere is not a missing one.
    dark = x.clone()
    dark[:, 2] = 0
    assert not torch.equal(one, network(dark, [0, 1, 2], where, ["T2"])[0]["T2"])


def test_layouts_survive_json():
    assert Layout.of(json.loads(json.dumps(SMALL.as_dict()))) == SMALL


def test_it_learns_on_mmhvae_s_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(UNetRecipe, "layout", SMALL)
    torch.manual_seed(0)
    recipe = UNetRecipe(CONFIG, Machine.of("cpu", "float32"), Material(None, Slices()))
    run = Run(recipe, CONFIG, tmp_path)
    batch = run.batch(0)
    seen = []
    for _ in range(30):
        run.make_step(batch)
        seen.append(run.journal.take_means()["real_loss"])
    assert sum(seen[-5:]) < 0.8 * sum(seen[:5])


def test_as_it_is_used(network):
    visit = small_visit()
    made = UNetImputer(network, torch.device("cpu"))(visit, ("T1", "T2"), [0, 3, 7])
    inside = brain(visit, [0, 3, 7])
    assert set(made.mean) == {"T1", "T1c", "T2", "FLAIR"}
    assert not made.mean["FLAIR"][~inside].any()
    assert (made.std["FLAIR"][inside] > 0).all()
    # By hand, for slice 3: its neighbours, its place, a Laplace scale's standard deviation.
    from napari_medsyn.models.mmhvae import positions

    where = positions(torch.tensor([3]), (48, 64, 160), 2)
    with torch.inference_mode():
        mean, scale = network(visit.images[None, :, 2:5].float(), [0, 2], where, ["FLAIR"])
    expected = mean["FLAIR"][0, 0].clamp(0, 1.5).numpy() * inside[:, :, 1]
    np.testing.assert_allclose(made.mean["FLAIR"][:, :, 1], expected, atol=1e-5)
    std = np.sqrt(2) * scale["FLAIR"][0, 0].clamp(-6, 0).exp().numpy() * inside[:, :, 1]
    np.testing.assert_allclose(made.std["FLAIR"][:, :, 1], std, atol=1e-5)


def test_the_network_in_training_is_left_alone(network):
    UNetImputer(network, torch.device("cpu"))
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
