"""A few steps of the recipe, and what each turn moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.mssg.stack._people import PlainLabels, source
from training.harness.machine import Machine
from training.harness.run import Run
from training.mssg.stack.config import Config
from training.mssg.stack.losses import HEADS
from training.mssg.stack.people import People
from training.mssg.stack.recipe import Batch, StackRecipe

MACHINE = Machine.of("cpu", "float32")
CONFIG = Config(
    steps=4, batch=4, precision="float32", warm_up=0, anchor_every=0, ramp_from=0.0, ramp_to=0.1
)


@pytest.fixture(scope="module")
def both() -> list[People]:
    return [People.of(source(name, 3), PlainLabels(), seed=0) for name in ("ixi", "ms")]


def new_run(people: list[People], out: Path) -> Run[Batch]:
    torch.manual_seed(0)
    return Run(StackRecipe(CONFIG, MACHINE, people), CONFIG, out)


def test_both_networks_move_and_stay_finite(both: list[People], tmp_path: Path) -> None:
    run = new_run(both, tmp_path)
    before = {n: [p.clone() for p in run.players[n].network.parameters()] for n in run.players}
    run.make_step(run.batch(0))
    run.make_step(run.batch(1))
    for name, player in run.players.items():
        after = list(player.network.parameters())
        assert all(bool(p.isfinite().all()) for p in after)
        moved = [not torch.equal(a, b) for a, b in zip(before[name], after, strict=True)]
        names = [n for n, _ in player.network.named_parameters()]
        still = [n for n, has_moved in zip(names, moved, strict=True) if not has_moved]
        assert all(n.endswith("noise_strength") for n in still)


def test_regularisation_is_lazy(both: list[People], tmp_path: Path) -> None:
    run = new_run(both, tmp_path)
    recipe = run.recipe
    counted = [
        [turn.player for turn in recipe.turns(step, run.batch(0))] for step in (0, 1, 15, 16)
    ]
    lazy, usual = ["discriminator", "discriminator", "generator"], ["discriminator", "generator"]
    assert counted == [lazy, usual, usual, lazy]


def test_the_discriminator_joins_in_before_the_warm_up_ends(both: list[People]) -> None:
    config = replace(CONFIG, warm_up=20, head_start=5, steps=40)
    recipe = StackRecipe(config, MACHINE, both)
    batch = recipe.batch(0, torch.Generator().manual_seed(0))
    counted = [[turn.player for turn in recipe.turns(step, batch)] for step in (14, 15, 20)]
    both_networks = ["generator", "discriminator"]
    assert counted == [["generator"], both_networks, both_networks[::-1]]


def test_people_are_reconstructed_now_and_then(both: list[People]) -> None:
    recipe = StackRecipe(replace(CONFIG, anchor_every=3), MACHINE, both)
    batch = recipe.batch(0, torch.Generator().manual_seed(0))
    found = [[next(iter(turn.terms)) for turn in recipe.turns(step, batch)] for step in (2, 3)]
    assert found == [["D", "G"], ["D", "G", "reconstruction"]]


def test_the_warm_up_brings_the_generator_near_to_the_slices(
    both: list[People], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    config = replace(CONFIG, warm_up=40, head_start=0)
    run = Run(StackRecipe(config, MACHINE, both), config, tmp_path)
    losses = []
    for step in range(8):
        batch = run.batch(step)
        turn = next(iter(run.recipe.turns(step, batch)))
        losses.append(turn.loss.item())
        run.make_step(batch)
    assert losses[-1] < 0.9 * losses[0]


def test_the_generator_s_turn_leaves_the_discriminator_alone(
    both: list[People], tmp_path: Path
) -> None:
    run = new_run(both, tmp_path)
    *_, last = run.recipe.turns(1, run.batch(0))
    run.players["discriminator"].network.zero_grad()
    last.loss.backward()
    assert all(p.grad is None for p in run.players["discriminator"].network.parameters())


def test_a_baseline_is_not_asked_for_what_nobody_taught(both: list[People]) -> None:
    assert StackRecipe(CONFIG, MACHINE, both).taught.all()
    taught = StackRecipe(CONFIG, MACHINE, both[:1]).taught
    assert [name for name, is_taught in zip(HEADS, taught, strict=True) if not is_taught] == [
        "lesions"
    ]


def test_sheets_are_drawn(both: list[People], tmp_path: Path) -> None:
    run = new_run(both, tmp_path)
    run.look()
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert [name.split("-")[1][:4] for name in names] == ["made", "real", "swep"]
