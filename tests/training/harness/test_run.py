from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import matplotlib.image
import pytest
import torch
from safetensors.torch import load_file
from tests.training.harness._toy import Toy, ToySettings
from training.harness import run as run_module
from training.harness.log import Log
from training.harness.run import Diverged, Run

SETTINGS = ToySettings()


class Clock:
    """Minutes that pass with every look at it."""

    def __init__(self, minutes=0.0):
        self.now, self.pace = 0.0, minutes * 60

    def __call__(self):
        self.now += self.pace
        return self.now


def start(out, settings=SETTINGS, **kwargs):
    torch.manual_seed(settings.seed)
    return Run(Toy(settings), settings, out, **kwargs)


def everything(out):
    return load_file(out / "checkpoint.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    out = tmp_path_factory.mktemp("straight")
    assert start(out).go()
    return out


# ---- steps -----------------------------------------------------------------------------


def test_the_student_learns_and_turns_alternate(tmp_path):
    run = start(tmp_path, replace(SETTINGS, steps=100, batch=16, ema=0.9))
    before = run.recipe.validate(run.networks)["mae"]
    run.go()
    assert run.recipe.validate(run.networks)["mae"] < 0.3 * before
    assert all(run.recipe.events)  # what stands behind a yield saw the step made


def test_the_same_seed_trains_the_same(straight, tmp_path):
    start(tmp_path / "again").go()
    assert same(everything(straight), everything(tmp_path / "again"))
    start(tmp_path / "other", replace(SETTINGS, seed=1)).go()
    assert not same(everything(straight), everything(tmp_path / "other"))


def test_batches_made_ahead_change_nothing(straight, tmp_path):
    start(tmp_path, replace(SETTINGS, workers=3)).go()
    assert same(everything(straight), everything(tmp_path))


def test_a_turn_s_gradients_are_its_own(tmp_path):
    # The critic's input carries the student's error, detached; an SGD step by hand.
    run = start(tmp_path)
    critic = run.players["critic"].network
    critic.weight.grad = torch.full_like(critic.weight, 1e6)  # left by another player's turn
    before = critic.weight.detach().clone()
    run.make_step(run.batch(0))
    assert (critic.weight - before).abs().max() < 100


def test_gradients_are_clipped_and_rates_follow_the_schedule(tmp_path):
    run = start(tmp_path)
    run.make_step(run.batch(0))
    gradients = [p.grad for p in run.players["student"].network.parameters()]
    assert float(torch.cat([g.flatten() for g in gradients]).norm()) <= 1.0 + 1e-5
    rates = [p.optimiser.param_groups[0]["lr"] for p in run.players.values()]
    assert rates == [pytest.approx(0.05), 0.1]
    run.step = 29
    run.make_step(run.batch(29))
    assert run.players["student"].optimiser.param_groups[0]["lr"] < 0.05 * 0.03


def test_the_average_by_hand(tmp_path):
    run = start(tmp_path, replace(SETTINGS, ema=0.5))
    weight = run.players["student"].network[0].weight
    expected = weight.detach().clone()
    for step in range(8):
        run.make_step(run.batch(step))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
    average = run.networks["student"]
    torch.testing.assert_close(average[0].weight.detach(), expected)
    # Statistics of normalisation are those of the network.
    assert torch.equal(average[2].running_mean, run.players["student"].network[2].running_mean)
    assert run.networks["critic"] is run.players["critic"].network  # it keeps no average


def test_a_loss_that_is_not_finite_ends_the_run_and_spares_the_checkpoint(tmp_path, monkeypatch):
    run = start(tmp_path)
    run.save()
    good = everything(tmp_path)
    batch = run.batch
    monkeypatch.setattr(run, "batch", lambda step: tuple(x / 0 for x in batch(step)))
    with pytest.raises(Diverged, match=r"error is not finite at step 20"):
        run.go()
    run.make_step(run.batch(0))
    with pytest.raises(Diverged):
        run.save()
    assert same(good, everything(tmp_path))


# ---- stop and resume -------------------------------------------------------------------


@pytest.mark.parametrize("stop", [1, 7, 20])
def test_resuming_goes_on_bit_exactly(straight, tmp_path, stop):
    first = start(tmp_path)
    for step in range(stop):
        first.make_step(first.batch(step))
    first.save()
    torch.rand(7)  # whatever else the process draws meanwhile
    second = start(tmp_path)
    second.resume()
    assert second.step == stop
    assert second.go()
    assert same(everything(straight), everything(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_and_saves(straight, tmp_path, monkeypatch, number):
    run = start(tmp_path)
    make_step = run.make_step

    def interrupted(batch):
        make_step(batch)
        if run.step == 11:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(run, "make_step", interrupted)
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    assert not run.go()
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers
    second = start(tmp_path)
    second.resume()
    assert second.step == 11
    second.go()
    assert same(everything(straight), everything(tmp_path))


def test_when_it_looks_and_saves_changes_nothing(straight, tmp_path, monkeypatch):
    saves, looks = [], []
    run = start(tmp_path, replace(SETTINGS, save_minutes=3, look_minutes=4), clock=Clock(0.5))
    save, look = run.save, run.look
    monkeypatch.setattr(run, "save", lambda: (saves.append(run.step), save()))
    monkeypatch.setattr(run, "look", lambda: (looks.append(run.step), look()))
    run.go()
    # The clock is read once a step and once after each; half a minute every time.
    assert len(saves) >= 4
    assert len(looks) >= 3
    assert looks[-1] == saves[-1] == 30
    assert same(everything(straight), everything(tmp_path))


def test_a_continuation_remembers_its_start_and_its_data(tmp_path, monkeypatch):
    first = start(tmp_path, replace(SETTINGS, most_minutes=5), clock=Clock(1.0))
    first._facts["start"] = "runs/earlier/weights.safetensors"
    monkeypatch.setattr(first.recipe, "describe", lambda: {"data_hash": "one"})
    first.go()
    second = start(tmp_path)
    with pytest.raises(ValueError, match="was trained on other data"):
        second.resume()
    monkeypatch.setattr(second.recipe, "describe", lambda: {"data_hash": "one"})
    second.resume()
    second.go()
    assert json.loads((tmp_path / "run.json").read_text())["start"].startswith("runs/earlier")


def test_looking_leaves_a_network_without_an_average_in_training(tmp_path, monkeypatch):
    run = start(tmp_path, replace(SETTINGS, ema=0.0))
    network = run.networks["student"]
    monkeypatch.setattr(run.recipe, "validate", lambda _: (network.eval(), {})[1])
    run.look()
    assert network.training


def test_a_session_can_be_limited(tmp_path):
    run = start(tmp_path, replace(SETTINGS, most_minutes=5), clock=Clock(1.0))
    assert not run.go()
    assert 0 < run.step < 30
    assert json.loads((tmp_path / "run.json").read_text())["step"] == run.step


def test_the_log_of_a_killed_session_is_forgotten_from_the_checkpoint_on(tmp_path):
    first = start(tmp_path)
    for step in range(20):
        first.make_step(first.batch(step))
    first.save()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(json.dumps({"step": 25, "train/error": 1.0}) + "\n")
    second = start(tmp_path)
    second.resume()
    second.go()
    steps = [line["step"] for line in Log(tmp_path / "log.jsonl").lines()]
    assert steps == sorted(steps)
    assert 25 not in steps


def test_other_settings_are_refused_but_another_session_s_are_not(straight):
    other = start(straight, replace(SETTINGS, slope=2.0, seed=4))
    with pytest.raises(ValueError, match=r"seed: 0 then, 4 now; slope: 3.0 then, 2.0 now"):
        other.resume()
    start(straight, replace(SETTINGS, workers=2, save_minutes=1.0)).resume()


def test_no_checkpoint_and_damaged_ones_are_refused(tmp_path, straight):
    run = start(tmp_path)
    with pytest.raises(ValueError, match="does not exist; leave --resume out"):
        run.resume()
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes((straight / "checkpoint.safetensors").read_bytes()[:-9])
    with pytest.raises(ValueError, match="is damaged"):
        run.resume()
    path.write_bytes((straight / "weights.safetensors").read_bytes())
    with pytest.raises(ValueError, match="is not a checkpoint of this version"):
        run.resume()


# ---- what is written -------------------------------------------------------------------


def test_weights_are_the_average_s(straight):
    weights, state = load_file(straight / "weights.safetensors"), everything(straight)
    assert all(torch.equal(v, state[f"average/student/{k}"]) for k, v in weights.items())
    Toy(SETTINGS).players["student"].network.load_state_dict(weights)
    assert not (straight / "weights-critic.safetensors").exists()


def test_a_run_can_start_from_another_s_weights(straight, tmp_path):
    run = start(tmp_path)
    weights = load_file(straight / "weights.safetensors")
    run.start_from(weights)
    assert run.step == 0
    for network in (run.players["student"].network, run.networks["student"]):
        assert same(dict(network.state_dict()), weights)


def test_the_record_says_how_it_was_made(straight):
    record = json.loads((straight / "run.json").read_text())
    assert record["config"] == SETTINGS.as_dict()
    assert record["architecture"] == {"layers": 2}
    assert record["step"] == 30
    assert record["elapsed_s"] >= 0
    assert record["versions"]["torch"] == torch.__version__
    assert record["hardware"]["cores"] == os.cpu_count()


def test_validation_and_pictures(straight, tmp_path):
    line = next(x for x in Log(straight / "log.jsonl").lines() if "validation/mae" in x)
    assert line["step"] == 30
    picture = matplotlib.image.imread(straight / "pictures" / "000030-line.png")
    assert picture.shape[:2] == (4, 5)
    torch.manual_seed(run_module.seed_of(0, 0, run_module.LOOK))
    torch.rand(3)  # drawn by the validation
    torch.testing.assert_close(
        torch.from_numpy(picture[:, :, 0].copy()), torch.rand(4, 5), atol=1 / 255, rtol=0
    )
    assert matplotlib.image.imread(straight / "curves.png").std() > 0.01
