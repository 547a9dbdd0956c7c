from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training.mmhvae._made import TINY, Slices, seeded, small_visit
from training.data.grids import MODALITIES
from training.harness.log import Log
from training.harness.machine import Machine
from training.harness.run import Run
from training.mmhvae import adversarial, losses
from training.mmhvae.config import ARCHITECTURES, Config, architecture
from training.mmhvae.imputation import Guess, Material, upright, wanted
from training.mmhvae.recipe import MMHVAERecipe

from napari_medsyn.models.mmhvae import MMHVAE, Topology

CONFIG = Config(network="tiny", steps=4, batch=2, real=1.0, look_slices=4)
CPU = Machine.of("cpu", "bf16")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    small = adversarial.critics
    monkeypatch.setattr(adversarial, "critics", lambda m: small(m, features=2))


def make(config=CONFIG, real=None, validation=()):
    torch.manual_seed(config.seed)
    return MMHVAERecipe(config, CPU, Material(None, real or Slices(), validation, "abc"))


def train(out, config=CONFIG):
    run = Run(make(config), config, out)
    run.go()
    return run


def test_a_run_s_weights_fit_the_product(tmp_path):
    run = train(tmp_path)
    written = load_file(tmp_path / "weights.safetensors")
    MMHVAE(Topology.from_card(TINY)).load_state_dict(written, strict=True)
    fresh = make().network.state_dict()
    assert any(not torch.equal(fresh[k], v) for k, v in run.recipe.network.state_dict().items())
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["architecture"] == TINY
    assert record["data_hash"] == "abc"


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_resuming_goes_on_bit_exactly(tmp_path, weight):
    config = replace(CONFIG, adversarial_weight=weight, adversarial_from=0.3)
    train(tmp_path / "straight", config)
    first = Run(make(config), config, tmp_path / "resumed")
    for step in range(3):
        first.make_step(first.batch(step))
    first.save()
    second = Run(make(config), config, tmp_path / "resumed")
    second.resume()
    second.go()
    one, other = (
        load_file(tmp_path / n / "checkpoint.safetensors") for n in ("straight", "resumed")
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert any("critics" in k for k in one) == (weight > 0)


def test_absent_modalities_are_neither_fed_nor_scored(monkeypatch):
    recipe = make()
    encoded, asked = set(), set()
    encode, decode = recipe.network.encode, recipe.network.decode
    monkeypatch.setattr(recipe.network, "encode", lambda m, *a: (encoded.add(m), encode(m, *a))[1])
    monkeypatch.setattr(
        recipe.network, "decode", lambda s, **k: (asked.update(k["targets"]), decode(s, **k))[1]
    )
    for step in range(8):
        batch = recipe.batch(step, seeded(step))
        encoded.clear()
        next(recipe.turns(step, batch))
        assert encoded == {MODALITIES[i] for i in batch.fed}
    assert asked == {"T1", "T2", "FLAIR"}


def test_the_loss_by_hand():
    config = replace(CONFIG, structure_weight=0.0, square_weight=0.0, scale_weight=0.5)
    recipe = make(config)
    batch = replace(recipe.batch(0, seeded()), fed=[0])
    guess = Guess(
        {MODALITIES[i]: wanted(batch, i) + 0.1 * (i + 1) for i in batch.present},
        {MODALITIES[i]: torch.zeros(2, 1, 32, 48) for i in batch.present},
        penalty=7.0,
    )
    loss, terms = recipe.loss(batch, guess)
    # |error| once as L1 and, at scale 1, half as the Laplace likelihood; T1 was fed.
    expected = (0.3 * 0.1 + 0.3 + 0.4) * 1.5 / 3 + 7
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    assert float(terms["l1"]) == pytest.approx(0.35, rel=1e-4)


def test_a_lesion_counts_as_often_as_asked_for():
    config = replace(CONFIG, structure_weight=0.0, square_weight=0.0, scale_weight=0.0)
    losses_of = {}
    for weight in (0.0, 4.0):
        recipe = make(replace(config, lesion_weight=weight))
        batch = replace(recipe.batch(0, seeded()), fed=[])
        wrong = 0.1 * batch.lesion
        guess = Guess(
            {MODALITIES[i]: wanted(batch, i) + wrong for i in batch.present},
            {MODALITIES[i]: torch.zeros(2, 1, 32, 48) for i in batch.present},
        )
        loss, terms = recipe.loss(batch, guess)
        losses_of[weight] = float(loss)
        assert float(terms["lesion_l1"]) == pytest.approx(0.1, rel=1e-4)
    # 4 x 4 lesion voxels of a brain of 20 x 36.  Beside them, 16 count by 3 and 4 by 1
    # ninth of the rest, which the sum of weights has but no error.
    beside = (8 * 3 + 8 * 2 + 4) / 9
    assert losses_of[0.0] == pytest.approx(0.1 * 16 / 720, rel=1e-4)
    assert losses_of[4.0] == pytest.approx(0.1 * 16 * 5 / (720 + 4 * (16 + beside)), rel=1e-4)


def test_what_was_fed_is_reconstructed_as_fed():
    batch = replace(make().batch(0, seeded()), fed=[2])
    assert torch.equal(wanted(batch, 2)[:, 0], batch.inputs[:, 2, 1])
    assert torch.equal(wanted(batch, 0)[:, 0], batch.targets[:, 0])
    assert not torch.equal(batch.inputs[:, 0, 1], batch.targets[:, 0])


def test_the_weight_of_the_divergence_rises(monkeypatch):
    monkeypatch.setattr(losses, "kl", lambda *_: torch.tensor(500.0))
    recipe = make(replace(CONFIG, steps=100, kl_weight=2.0))
    batch = recipe.batch(0, seeded())
    penalties = [float(recipe.guess(step, batch).penalty) for step in (0, 5, 10, 50)]
    pixels = 32 * 48
    assert penalties == pytest.approx([0, 500 / pixels, 1000 / pixels, 1000 / pixels])
    recipe = make(replace(CONFIG, steps=100, kl_weight=2.0, kl_ramp=0.0))
    assert float(recipe.guess(0, batch).penalty) == pytest.approx(1000 / pixels)


def test_loss_falls_on_a_batch_that_repeats(tmp_path):
    config = replace(CONFIG, steps=40, learning_rate=3e-3)
    run = Run(make(config), config, tmp_path)
    batch = run.batch(0)
    seen = []
    for _ in range(40):
        run.make_step(batch)
        seen.append(run.journal.take_means()["real_loss"])
    assert sum(seen[-8:]) < 0.8 * sum(seen[:8])


def test_validation_and_pictures(tmp_path, monkeypatch):
    visit = small_visit()
    monkeypatch.setattr("training.compare.scoring.SMALLEST_SLICE", 100)
    config = replace(CONFIG, steps=1)
    Run(make(config, validation=(visit,)), config, tmp_path).go()
    line = next(x for x in Log(tmp_path / "log.jsonl").lines() if "validation/psnr_T1" in x)
    assert {"validation/ssim_T1", "validation/psnr_others", "validation/ssim_others"} <= set(line)
    assert -20 < line["validation/psnr_others"] < 40
    names = [p.name for p in (tmp_path / "pictures").iterdir()]
    assert names == ["000001-msv-12_visit1.png"]


def test_pictures_stand_upright():
    plane = np.zeros((4, 6))
    plane[3, 5] = 1  # right (+X) and anterior (+Y) of RAS+
    picture = upright(plane)
    assert picture.shape == (6, 4)
    assert picture[0, 0] == 1  # above, on the left


def test_networks_have_names():
    assert architecture("compact")["patch"] == 2
    assert Topology.from_card(architecture("full")).fits(160, 192)
    with pytest.raises(ValueError, match="network 'huge' is not one of compact, full"):
        architecture("huge")
