from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.training.harness._toy import Toy, ToySettings
from training.harness.command import STOPPED, main
from training.harness.figures import mosaic, write_curves
from training.harness.machine import Machine, commit, generator_of, seed_of, versions
from training.harness.options import Settings, add_options, explained, read_options
from training.harness.recipe import one_cycle

# ---- options ---------------------------------------------------------------------------


def parse(*arguments, kind=ToySettings):
    parser = argparse.ArgumentParser()
    add_options(parser, kind)
    return read_options(parser.parse_args(arguments), kind)


def test_every_field_is_an_option():
    assert parse() == ToySettings()
    given = parse("--steps", "5", "--learning-rate", "0.5", "--noisy", "--device", "cpu")
    assert given == ToySettings(steps=5, learning_rate=0.5, noisy=True, device="cpu")
    assert parse("--no-noisy") == ToySettings()


def test_help_is_the_docstring_s():
    said = explained(ToySettings)
    assert said["slope"] == "what is to be learnt, by the way."
    assert said["noisy"] == "whether the targets are noisy."
    assert said["batch"] == "examples a step."
    parser = argparse.ArgumentParser()
    add_options(parser, ToySettings)
    assert "what is to be learnt, by the way. (default: 3.0)" in " ".join(
        parser.format_help().split()
    )


def test_settings_without_words_or_of_strange_types_are_refused():
    @dataclass(frozen=True)
    class Silent(Settings):
        """Says nothing."""

        depth: int = 3

    with pytest.raises(TypeError, match=r"Silent\.depth is not in the class's docstring"):
        parse(kind=Silent)

    @dataclass(frozen=True)
    class Strange(Settings):
        """Strange.

        Parameters
        ----------
        widths : of the layers.
        """

        widths: tuple = (1, 2)

    with pytest.raises(TypeError, match=r"Strange\.widths is not an int"):
        parse(kind=Strange)


# ---- schedule, seeds, machine ----------------------------------------------------------


def test_one_cycle_warms_up_and_falls():
    factors = [one_cycle(100)(step) for step in range(100)]
    assert factors[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert max(factors) == 1
    assert all(later <= sooner for sooner, later in pairwise(factors[3:]))
    # Half way down between step 3 and step 100: the mean of 1 and the floor.
    middle = [one_cycle(103)(step) for step in (3, 53, 103)]
    assert middle == pytest.approx([1, 0.51, 0.02])
    assert one_cycle(1)(0) == 1


def test_seeds_of_steps_and_streams_differ():
    drawn = [seed_of(s, k, t) for s in range(3) for k in range(50) for t in range(2)]
    assert len(set(drawn)) == 300
    assert seed_of(1, 2, 3) == seed_of(1, 2, 3)
    first = torch.stack([torch.rand(20, generator=generator_of(0, k)) for k in range(300)])
    # Independent uniforms: neighbours are uncorrelated (standard error 1 / sqrt(5980)).
    pairs = torch.corrcoef(torch.stack([first[:-1].flatten(), first[1:].flatten()]))
    assert abs(float(pairs[0, 1])) < 4 / 5980**0.5


def test_machine():
    layer, x = torch.nn.Linear(3, 3), torch.rand(2, 3)
    for precision, kind in (("bf16", torch.bfloat16), ("float32", torch.float32)):
        with Machine.of("cpu", precision).autocast():
            assert layer(x).dtype == kind
    with pytest.raises(ValueError, match="precision 'fp8' is not bf16 or float32"):
        Machine.of("cpu", "fp8")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    assert Machine.of("auto", "bf16").device.type == "cpu"
    with pytest.raises(ValueError, match="torch sees no GPU"):
        Machine.of("cuda", "bf16")


def test_versions_and_commit(tmp_path):
    assert versions()["torch"] == torch.__version__
    assert commit(tmp_path) is None  # no repository


# ---- figures ---------------------------------------------------------------------------


def test_a_mosaic_keeps_every_picture():
    a, b, c = (np.full((3, 4), v, np.float32) for v in (0.1, 0.2, 0.3))
    out = mosaic([[a, b], [c]], gap=1)
    assert out.shape == (7, 9)
    np.testing.assert_array_equal(out[:3, :4], a)
    np.testing.assert_array_equal(out[:3, 5:], b)
    np.testing.assert_array_equal(out[4:, :4], c)
    assert (out[3] == 1).all()
    assert (out[4:, 5:] == 1).all()


def test_no_figures_no_curves(tmp_path):
    write_curves(tmp_path / "curves.png", [{"step": 1, "minutes": 0.0}])
    assert not (tmp_path / "curves.png").exists()


# ---- the command line ------------------------------------------------------------------


def train(tmp_path, *more):
    main(Toy, "training.toy", ["--data", str(tmp_path), "--out", str(tmp_path / "run"), *more])


def test_a_command_trains_and_notes_itself(tmp_path, capsys):
    train(tmp_path, "--steps", "4")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["command"].startswith("python -m training.toy --data ")
    assert record["command"].endswith("--steps 4")
    assert record["config"]["steps"] == 4
    assert len(record["commit"].rstrip("+")) == 40
    assert "step 4 of 4" in capsys.readouterr().out


def test_a_run_is_not_overwritten_but_goes_on(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        train(tmp_path, "--most-minutes", "1e-9", "--resume")
    assert stopped.value.code == STOPPED
    with pytest.raises(SystemExit):
        train(tmp_path)
    assert "holds a run; add --resume, or name another folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train(tmp_path, "--resume", "--slope", "9")
    assert "is of other settings (slope: 3.0 then, 9.0 now)" in capsys.readouterr().err
    train(tmp_path, "--resume")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["step"] == 30


def test_starting_from_weights(tmp_path):
    train(tmp_path, "--steps", "4")
    weights = tmp_path / "run" / "weights.safetensors"
    other = tmp_path / "other"
    main(Toy, "training.toy", ["--data", str(tmp_path), "--out", str(other),
                               "--start", str(weights), "--steps", "1"])  # fmt: skip
    assert json.loads((other / "run.json").read_text())["start"] == str(weights)


@pytest.mark.parametrize(("name", "said"), [("none", "does not exist; give"), ("bad", "give good")])
def test_bad_data_is_refused(tmp_path, capsys, name, said):
    (tmp_path / "bad").touch()
    with pytest.raises(SystemExit) as refused:
        main(Toy, "training.toy", ["--data", str(tmp_path / name), "--out", str(tmp_path / "o")])
    assert refused.value.code == 2
    assert said in capsys.readouterr().err
