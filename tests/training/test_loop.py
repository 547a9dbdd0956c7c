from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file
from training.mmhvae import loop
from training.mmhvae.config import Config
from training.mmhvae.loop import Trainer, draw_subset

from napari_medsyn.models.mmhvae import MMHVAE, Topology

TINY = {
    "layout": "compact",
    "modalities": ["T1", "T1c", "T2", "FLAIR"],
    "widths": [8, 8],
    "latents": [2, 2],
    "patch": 2,
    "context": 1,
    "positions": 3,
    "head_features": 8,
}
CONFIG = Config(steps=4, batch=2, real=1.0, threads=1)


class Slices:
    """Stands in for the real scans: two modalities, random blobs."""

    def batch(self, n, generator):
        images = torch.rand(n, 4, 3, 16, 24, generator=generator)
        images[:, 1] = 0
        mask = torch.zeros(n, 16, 24, dtype=torch.bool)
        mask[:, 3:13, 4:20] = True
        images = images * mask[:, None, None]
        present = torch.tensor([True, False, True, True])
        slices = torch.randint(1, 159, (n,), generator=generator)
        return images, images[:, :, 1], present, mask, slices


class Simulated:
    """Stands in for the simulator."""

    def batch(self, n, generator):
        images = torch.rand(n, 4, 3, 160, 192, generator=generator)
        return images * (torch.rand(1, 1, 1, 160, 192, generator=generator) > 0.5), torch.arange(n)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setattr(loop, "ARCHITECTURE", TINY)
    monkeypatch.setattr(loop, "GRID_SHAPE", (16, 24, 160))


def train(out, config=CONFIG):
    out.mkdir()
    trainer = Trainer(config, None, Slices(), out)
    trainer.run()
    return trainer


def weights(trainer):
    return {
        **trainer.net.state_dict(),
        **{f"a.{k}": v for k, v in trainer.average.state_dict().items()},
    }


# ---- which modalities are fed ----------------------------------------------------------


def test_subsets_cover_every_case_and_never_pick_what_is_absent():
    generator = torch.Generator().manual_seed(0)
    drawn = Counter(tuple(sorted(draw_subset([True] * 4, generator))) for _ in range(3000))
    assert len(drawn) == 15
    assert all(len(set(subset)) == len(subset) > 0 for subset in drawn)
    # What users meet is met often: T1 alone, and each modality from all others.
    assert drawn[0,] > 600
    assert all(drawn[tuple(i for i in range(4) if i != m)] > 200 for m in range(4))


@pytest.mark.parametrize("present", [(0, 0, 1, 1), (1, 0, 1, 1), (0, 1, 0, 0), (1, 0, 0, 0)])
def test_subsets_of_some_modalities(present):
    generator = torch.Generator().manual_seed(0)
    there = {i for i, p in enumerate(present) if p}
    drawn = {tuple(sorted(draw_subset(present, generator))) for _ in range(500)}
    assert all(set(subset) <= there for subset in drawn)
    assert len(drawn) == 2 ** len(there) - 1


# ---- the loop --------------------------------------------------------------------------


def test_training_moves_the_weights_and_writes_them(tmp_path):
    trainer = train(tmp_path / "run")
    fresh = Trainer(CONFIG, None, Slices(), tmp_path)
    before, after = fresh.net.state_dict(), trainer.net.state_dict()
    assert any(not torch.equal(before[k], after[k]) for k in before)
    written = load_file(tmp_path / "run" / "weights.safetensors")
    # The average over the steps is what ships, and it fits the architecture strictly.
    MMHVAE(Topology.from_card(TINY)).load_state_dict(written, strict=True)
    assert all(torch.equal(written[k], v) for k, v in trainer.average.state_dict().items())


def test_the_same_seed_trains_the_same(tmp_path):
    one, other = (weights(train(tmp_path / name)) for name in "ab")
    assert all(torch.equal(one[k], other[k]) for k in one)
    third = weights(train(tmp_path / "c", replace(CONFIG, seed=1)))
    assert any(not torch.equal(one[k], third[k]) for k in one)


def test_resuming_goes_on_bit_exactly(tmp_path):
    straight = weights(train(tmp_path / "straight"))
    out = tmp_path / "resumed"
    out.mkdir()
    first = Trainer(CONFIG, None, Slices(), out)
    for _ in range(2):
        first.one_step()
        first.step += 1
    first.save()
    torch.rand(7)  # whatever else the process draws meanwhile
    second = Trainer(CONFIG, None, Slices(), out)
    second.resume()
    assert second.step == 2
    second.run()
    resumed = weights(second)
    assert all(torch.equal(straight[k], resumed[k]) for k in straight)


def test_a_run_can_start_from_another_s_weights(tmp_path):
    train(tmp_path / "base")
    state = load_file(tmp_path / "base" / "weights.safetensors")
    trainer = Trainer(CONFIG, None, Slices(), tmp_path)
    trainer.start_from(state)
    assert trainer.step == 0
    assert all(torch.equal(v, state[k]) for k, v in trainer.net.state_dict().items())


def test_absent_modalities_are_neither_fed_nor_scored(tmp_path, monkeypatch):
    trainer = Trainer(CONFIG, None, Slices(), tmp_path)
    encoded, asked = set(), set()
    encode, decode = trainer.net.encode, trainer.net.decode
    monkeypatch.setattr(trainer.net, "encode", lambda m, *a: (encoded.add(m), encode(m, *a))[1])
    monkeypatch.setattr(
        trainer.net, "decode", lambda s, **k: (asked.update(k["targets"]), decode(s, **k))[1]
    )
    for _ in range(8):
        trainer.one_step()
    assert encoded == asked == {"T1", "T2", "FLAIR"}


def test_simulated_slices_are_varied_and_scored_in_all_modalities(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "GRID_SHAPE", (160, 192, 160))
    trainer = Trainer(replace(CONFIG, real=0.0), Simulated(), None, tmp_path)
    given = []
    loss = trainer.loss
    monkeypatch.setattr(trainer, "loss", lambda *a: (given.append(a), loss(*a))[1])
    terms = trainer.one_step()
    assert {"sim_loss", "sim_kl"} <= set(terms)
    inputs, targets, present, mask, *_ = given[0]
    assert present.all()
    assert torch.equal(mask, targets.sum(dim=1) > 0)
    changed = (inputs[:, :, 1] - targets).abs()[:, 0]
    assert changed[mask].mean() > 0.01
    assert not changed[~mask].any()


def test_the_learning_rate_warms_up_and_falls():
    trainer = Trainer(replace(CONFIG, steps=100), None, Slices(), None)
    rates = []
    for step in range(100):
        trainer.step = step
        rates.append(trainer.learning_rate())
    assert max(rates) == pytest.approx(CONFIG.learning_rate)
    assert rates[0] < rates[1] < rates[2]
    assert all(later <= sooner for sooner, later in pairwise(rates[3:]))
    assert rates[-1] < 0.03 * CONFIG.learning_rate


def test_loss_falls_on_a_batch_that_repeats(tmp_path):
    class One(Slices):
        def batch(self, n, generator):
            return super().batch(n, torch.Generator().manual_seed(0))

    trainer = Trainer(replace(CONFIG, steps=40, learning_rate=3e-3), None, One(), tmp_path)
    losses = []
    for _ in range(40):
        losses.append(trainer.one_step()["real_loss"])
        trainer.step += 1
    assert sum(losses[-8:]) < 0.8 * sum(losses[:8])
