"""One slider move on a medigan-style package, over its bare generator.

``python -m benchmarks.medigan_slider [--repeats 40] [--width 64]``

The package is our own: a DCGAN for 128 x 128 pixels with random weights, whose function
builds its network and reads its weights at every call, as those of medigan's template do.
Three things are measured in turns, so that the ratios hold on a busy machine:

- bare: the network's forward pass alone, weights in memory, in the same interpreter, with
  the same threads and behind the same fences;
- slider: from `set_control` on a session to the picture on the grid of the viewer, through
  the engine's process and the package's;
- reload: one call of the package's function as medigan makes it, without drawing the
  result, which takes medigan's window another 100 ms.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.reporting import processor, report
from napari_medsyn.exploration.engines.process import ProcessEngine
from napari_medsyn.exploration.requests import Finished, SlabReady
from napari_medsyn.exploration.session import Session
from napari_medsyn.models.isolated.architecture import read_architecture
from napari_medsyn.models.isolated.environment import interpreter
from napari_medsyn.models.isolated.process import Limits, Runner
from napari_medsyn.registry.building import build_package
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.consent import give_consent

#: Numbers of the latent, and pixels along each side.
LATENT, SIDE = 100, 128
#: Moves that are not counted: memory and kernels are set up by the first ones.
WARM_UP = 5

NETWORK = '''
import os
import numpy as np
import torch
from torch import nn


class Generator(nn.Module):
    """Radford et al. 2016, section 3, one step deeper: a latent to 128 x 128 pixels."""

    def __init__(self, latent, width):
        super().__init__()
        layers, before = [], latent
        for step, times in enumerate((16, 8, 4, 2, 1)):
            place = (2, 1) if step else (1, 0)
            layers += [
                nn.ConvTranspose2d(before, width * times, 4, *place, bias=False),
                nn.BatchNorm2d(width * times),
                nn.ReLU(True),
            ]
            before = width * times
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(before, 1, 4, 2, 1), nn.Tanh())

    def forward(self, z):
        return self.layers(z)
'''

FUNCTIONS = '''

def _latent(vector, count):
    return torch.randn(count, {latent}, 1, 1) if vector is None else torch.tensor(vector)


def _load(model_file):
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    network = Generator({latent}, {width}).to(device)
    network.load_state_dict(torch.load(model_file, map_location=device))
    return network.eval()


def generate(model_file, num_samples, output_path, save_images, input_latent_vector=None):
    os.makedirs(output_path, exist_ok=True)
    network = _load(model_file)
    with torch.no_grad():
        images = network(_latent(input_latent_vector, num_samples)).cpu().numpy()
    return [np.uint8(np.round(127.5 * (image[0] + 1))) for image in images]


_kept = []


def bare(model_file, num_samples, output_path, save_images, input_latent_vector=None):
    """The forward pass alone, once the network is there."""
    if not _kept:
        _kept.append(_load(model_file))
    with torch.inference_mode():
        return _kept[0](torch.from_numpy(input_latent_vector))
'''


def make_package(folder: Path, width: int = 64, latent: int = LATENT) -> ModelCard:
    """Make the package in a new folder; see `NETWORK` and `FUNCTIONS` for its code."""
    code = NETWORK + FUNCTIONS.format(latent=latent, width=width)
    with tempfile.TemporaryDirectory() as place:
        weights = Path(place) / "weights.pt"
        _save_weights(weights, width, latent)
        return build_package(
            folder,
            card_fields(latent),
            {"code/__init__.py": code.encode(), "code/weights.pt": weights},
        )


def _save_weights(path: Path, width: int, latent: int) -> None:
    """Random weights by the names of `NETWORK`, as a package of medigan brings them."""
    torch.manual_seed(0)
    state: dict[str, torch.Tensor] = {}
    before = latent
    for step, times in enumerate((16, 8, 4, 2, 1)):
        after = width * times
        place = f"layers.{3 * step}"
        # He et al. 2015, equation 10: so that the picture has contrast.  Of a kernel of
        # 4 x 4, each pixel sees a quarter where the stride is 2, and one number at first.
        seen = before * (4 if step else 1)
        state[f"{place}.weight"] = (2 / seen) ** 0.5 * torch.randn(before, after, 4, 4)
        norm = nn.BatchNorm2d(after).state_dict()
        state.update({f"layers.{3 * step + 1}.{name}": value for name, value in norm.items()})
        before = after
    state["layers.15.weight"] = (1 / before) ** 0.5 * torch.randn(before, 1, 4, 4)
    state["layers.15.bias"] = torch.zeros(1)
    torch.save(state, path)  # noqa: TID251 - other people's packages bring pickles


def card_fields(latent: int = LATENT, function: str = "generate") -> dict[str, Any]:
    """The package's card, without its files."""
    return {
        "schema_version": 1,
        "id": "medigan-style-dcgan",
        "version": "1.0",
        "name": "DCGAN in the manner of medigan",
        "task": "unconditional",
        "execution": "isolated",
        "family": "python",
        "architecture": {
            "weights": "code/weights.pt",
            "at": "models/00000_DCGAN",
            "module": "models.00000_DCGAN",
            "function": function,
            "latent": {"argument": "input_latent_vector", "size": latent, "control": "latent"},
        },
        "requires": {"packages": ["torch", "numpy"]},
        "grid": {"shape": [SIDE, SIDE, 1], "space": "picture", "dim": "2D"},
        "intensity": {"rule": "unit"},
        "inputs": [],
        "outputs": ["MG"],
        "min_inputs": 0,
        "controls": [
            {"kind": "seed", "name": "seed", "label": "Seed"},
            {
                "kind": "latent",
                "name": "latent",
                "label": "Latent",
                "directions": [f"z{i + 1}" for i in range(latent)],
            },
        ],
        "training_data": [{"name": "none; random weights", "licence": "BSD-3-Clause"}],
        "licence": "BSD-3-Clause",
        "authors": ["The napari-medsyn developers"],
        "intended_use": "Measurements of speed.",
        "limitations": ["Its weights are random."],
        "provenance": {"command": "python -m benchmarks.medigan_slider"},
    }


class Slider:
    """A session with the package chosen, driven as the window drives it.

    Parameters
    ----------
    model_id : of the package in the user's folder.
    """

    def __init__(self, model_id: str) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._seen: list[Any] = []
        self.session = Session(ProcessEngine(), dispatch=self._calls.put)
        self.session.choose_model(model_id)
        self.session.set_device("cpu")
        for signal in (self.session.slab_ready, self.session.finished):
            signal.connect(self._seen.append)
        self.session.failed.connect(_fail)
        self.session.live = True
        self._pump(Finished)

    def move(self, latent: tuple[float, ...]) -> float:
        """Seconds from the slider's move until its picture is there."""
        self._seen.clear()
        began = perf_counter()
        self.session.set_control("latent", latent)
        self._pump(SlabReady)
        seconds = perf_counter() - began
        self._pump(Finished)
        return seconds

    def _pump(self, until: type) -> None:
        """Handle events, as the window's loop does, until one of a kind has come."""
        while not any(isinstance(event, until) for event in self._seen):
            try:
                self._calls.get(timeout=120)()
            except Empty:
                raise TimeoutError("the engine did not answer") from None


def _fail(sentence: str, detail: str) -> None:
    raise RuntimeError(f"{sentence}\n{detail}")


def ask(runner: Runner, latent: np.ndarray) -> float:
    """Seconds that the function of a package took, by the clock of its own process."""
    return runner.ask({}, latent=("input_latent_vector", latent)).seconds


def measure(home: Path, repeats: int, width: int) -> dict[str, Any]:
    """All three in turns; medians in ms, and their ratios."""
    package = home / "models" / "dcgan"
    card = make_package(package, width)
    give_consent(package, card)
    sides = {name: _runner(package, card, name) for name in ("bare", "generate")}
    slider = Slider(card.id)
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {"bare": [], "slider": [], "generate": []}
    for _ in range(repeats + WARM_UP):
        latent = rng.uniform(-3, 3, LATENT).astype(np.float32)
        for name, runner in sides.items():
            times[name].append(ask(runner, latent.reshape(1, -1, 1, 1)))
        times["slider"].append(slider.move(tuple(map(float, latent))))
    slider.session.close()
    for runner in sides.values():
        runner.close()
    return _summary({name: values[WARM_UP:] for name, values in times.items()})


def _runner(package: Path, card: ModelCard, function: str) -> Runner:
    """The package's process, asked for one of its functions."""
    architecture = read_architecture(card).model_copy(update={"function": function})
    return Runner(interpreter(card), package, card, architecture, Limits())


def _summary(times: Mapping[str, list[float]]) -> dict[str, Any]:
    median = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    # Each move over the bare pass of its own turn: what else the machine does hits both.
    turns = zip(times["slider"], times["bare"], strict=True)
    return {
        "bare ms": median["bare"],
        "slider ms": median["slider"],
        "reload ms": median["generate"],
        "slider / bare": statistics.median(ours / floor for ours, floor in turns),
        "reload / bare": median["generate"] / median["bare"],
        "overhead ms": median["slider"] - median["bare"],
        "target": 1.25,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--width", type=int, default=64, help="channels of the widest layer / 16")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["MEDSYN_HOME"] = home
        row = measure(Path(home), options.repeats, options.width)
    facts = {"processor": processor(), "threads": os.environ.get("OMP_NUM_THREADS", "all")}
    report("medigan_slider", [row], **facts)


if __name__ == "__main__":
    main()
