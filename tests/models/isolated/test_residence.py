"""Networks that stay in memory between calls: found again, never another one, never stale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.isolated._packages import card_fields, running

from napari_medsyn.models.isolated.process import Runner, Sample

CODE = """
import torch
from torch import nn

counts = {"built": 0, "read": 0, "filled": 0}
original = torch.load


class Part(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(size))


class Base(nn.Module):
    def __init__(self, size, options=None):
        super().__init__()
        counts["built"] += 1
        self.one, self.two = Part(size), Part(size)
        self.register_buffer("seen", torch.zeros(1))
        self.calls = 0

    def forward(self, x):
        return self.one.scale * x + self.two.scale


class Network(Base):
    def _load_from_state_dict(self, *arguments):
        counts["filled"] += 1
        return super()._load_from_state_dict(*arguments)


class Named(Base):
    "Without a constructor of its own."


class Options:
    "Nothing that can be compared."


def picture(*values):
    return torch.stack([torch.as_tensor(v, dtype=torch.float32).reshape(-1) for v in values])


def weights(model_file):
    return torch.load(model_file, map_location="cpu")


def load(kind, model_file, *more):
    network = kind(4, *more)
    network.load_state_dict(weights(model_file))
    return network.eval()


@torch.no_grad()
def run(case, model_file, x):
    if case == "plain":
        return load(Network, model_file)(x)
    if case == "inherited":
        return load(Named, model_file)(x)
    if case == "taken apart":
        state = weights(model_file)
        scale = state.pop("one.scale")
        return scale * x + state["two.scale"]
    if case == "two alike":
        a, b = load(Network, model_file), load(Network, model_file)
        b.one.scale.mul_(3)
        return a(x) + 10 * b(x)
    if case == "two parts":
        network = Network(4)
        return network.one.scale - network.two.scale
    if case == "noise":
        return load(Network, model_file)(x) + torch.randn(4)
    if case == "noise between":
        first = torch.randn(4)
        network = Network(4)
        second = torch.randn(4)
        network.load_state_dict(weights(model_file))
        return network(x) + first + 10 * second
    if case == "written to":
        network = load(Network, model_file)
        network.seen += 1
        return network(x) * network.seen
    if case == "remembers":
        network = load(Network, model_file)
        network.calls += 1
        return network(x) * network.calls
    if case == "options":
        return load(Network, model_file, Options())(x)
    if case == "part alone":
        part = Part(4)
        part.load_state_dict({"scale": weights(model_file)["one.scale"]})
        return part.scale * x
    if case == "other weights":
        network = Network(4)
        state = {name: value * float(x[0]) for name, value in weights(model_file).items()}
        network.load_state_dict(state)
        return network(x)
    raise ValueError(case)


def generate(model_file, case, input_latent_vector, **more):
    x = torch.from_numpy(input_latent_vector).reshape(-1)
    values = run(case, model_file, x)
    return [(picture(values), repr(dict(counts)))]
"""

Ask = Callable[[str, list[float], bool], Sample]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """One process for all tests, since torch takes its time."""
    folder = tmp_path_factory.mktemp("residence")
    weights = folder / "weights.pt"
    state = {
        "one.scale": torch.tensor([1.0, 2, 3, 4]),
        "two.scale": torch.tensor([5.0, 6, 7, 8]),
        "seen": torch.zeros(1),
    }
    torch.save(state, weights)  # noqa: TID251 - other people's packages bring pickles
    architecture = {
        "weights": "code/weights.pt",
        "module": "model",
        "latent": {"argument": "input_latent_vector", "size": 4, "control": "latent"},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSYN_HOME", str(folder / "home"))
        files: dict[str, bytes | Path] = {
            "code/model.py": CODE.encode(),
            "code/weights.pt": weights,
        }
        fields = card_fields(architecture=architecture, requires={"memory_gb": 4})
        with running(folder / "p", files=files, fields=fields) as started:
            yield started


@pytest.fixture
def ask(runner: Runner) -> Ask:
    def asked(case: str, latent: list[float], resident: bool) -> Sample:
        array = np.array(latent, np.float32).reshape(1, -1, 1, 1)
        return runner.ask(
            {"case": case}, seed=3, latent=("input_latent_vector", array), resident=resident
        )

    return asked


def counts(sample: Sample) -> dict[str, int]:
    """How often networks were built and filled, so far."""
    words = sample.texts[0].strip("{}").replace("'", "").split(", ")
    return {name: int(number) for name, number in (word.split(": ") for word in words)}


X, Y = [1.0, 2.0, 3.0, 4.0], [0.5, 0.5, 0.5, 0.5]

#: x of `X` and the weights above, by hand.
PLAIN = [1 * 1 + 5, 2 * 2 + 6, 3 * 3 + 7, 4 * 4 + 8]


def test_a_network_is_built_and_filled_once(ask: Ask) -> None:
    first = counts(ask("plain", X, True))
    samples = [ask("plain", latent, True) for latent in (Y, X, X)]

    assert samples[-1].pictures[0].ravel().tolist() == PLAIN
    assert {name: counts(samples[-1])[name] - first[name] for name in ("built", "filled")} == {
        "built": 0,
        "filled": 0,
    }


def test_without_leave_everything_is_as_the_package_has_it(ask: Ask) -> None:
    first = counts(ask("plain", X, False))
    second = counts(ask("plain", X, False))

    assert (second["built"] - first["built"], second["filled"] - first["filled"]) == (1, 1)


@pytest.mark.parametrize(
    "case",
    [
        "plain", "inherited", "taken apart", "two alike", "two parts", "noise", "noise between",
        "written to",
        "options", "other weights",
    ],
)  # fmt: skip
def test_what_comes_out_is_the_same(ask: Ask, case: str) -> None:
    plain = {tuple(latent): ask(case, latent, False).pictures[0] for latent in (X, Y)}

    for latent in (X, Y, X, Y, Y):
        resident = ask(case, latent, True).pictures[0]
        np.testing.assert_array_equal(resident, plain[tuple(latent)])


def test_two_networks_of_one_call_are_two(ask: Ask) -> None:
    # a + 10 b, b's first part three times as strong.
    expected = [p + 10 * (p + 2 * s * x) for p, s, x in zip(PLAIN, (1, 2, 3, 4), X, strict=True)]

    for _ in range(3):
        assert ask("two alike", X, True).pictures[0].ravel().tolist() == expected


def test_parts_of_a_network_are_not_shared(ask: Ask) -> None:
    assert np.abs(ask("two parts", X, True).pictures[0]).max() > 0


def test_a_part_is_not_what_was_built_alone(ask: Ask) -> None:
    """Else the network would be given one that it does not fill, and be built twice."""
    ask("part alone", X, True)
    first = counts(ask("options", X, True))
    second = counts(ask("options", X, True))

    assert second["built"] - first["built"] == 1


def test_what_a_network_remembers_shows(ask: Ask) -> None:
    """So that `IsolatedFamily` notices, and goes on without."""
    plain = ask("remembers", X, False).pictures[0]
    for _ in range(2):
        resident = ask("remembers", X, True).pictures[0]

    assert not np.array_equal(plain, resident)
