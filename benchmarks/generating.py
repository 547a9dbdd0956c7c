"""`medsyn generate`: peak memory as the number of samples grows, and images a second.

``python -m benchmarks.generating [--few 10] [--many 1000] [--width 64]``

The model is a DCGAN for 128 x 128 pixels with random weights.  Memory is that of the whole
command, which writes PNG files, as in `benchmarks.memory`.  For the speed, the bare
generator (weights in memory, latents drawn beforehand, eight at a time and one at a time)
and `generate` take turns in one process, and medians are compared.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from safetensors.torch import save

from benchmarks.memory import peak_of
from benchmarks.reporting import processor, report
from napari_medsyn.exploration.generating import generate, sampler
from napari_medsyn.models.dcgan import Generator, Layout
from napari_medsyn.models.latents import latent
from napari_medsyn.registry.building import build_package

LATENT, BATCH = 100, 8
#: Images in one turn.
TURN = 24


def fields(width: int) -> dict[str, object]:
    """A card of a DCGAN whose last feature maps are `width` wide."""
    return {
        "schema_version": 1,
        "id": "benchmark-dcgan",
        "version": "0.1",
        "name": "DCGAN with random weights",
        "family": "dcgan",
        "architecture": {"latent": LATENT, "channels": [width * k for k in (16, 8, 4, 2, 1)]},
        "grid": {"shape": [128, 128, 1], "space": "none", "dim": "2D"},
        "intensity": {"rule": "unit"},
        "inputs": [],
        "outputs": ["MG"],
        "min_inputs": 0,
        "controls": [{"kind": "seed", "name": "seed", "label": "Seed"}],
        "training_data": [{"name": "none", "licence": "CC0-1.0"}],
        "licence": "CC0-1.0",
        "authors": ["Nobody"],
        "intended_use": "Benchmarks.",
        "limitations": ["It was not trained."],
        "provenance": {"command": "benchmarks.generating"},
    }


def make_package(folder: Path, width: int) -> Generator:
    """Write the package; give the network that is in it."""
    card = fields(width)
    torch.manual_seed(0)
    net = Generator(Layout.from_card(card["architecture"], 1)).eval()  # type: ignore[arg-type]
    state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    build_package(folder, card, {"weights.safetensors": save(state)})
    return net.requires_grad_(False)


def memory(home: Path, n: int) -> dict[str, object]:
    """Peak memory and time of one command."""
    where = ["--out", str(home / f"{n}"), "--device", "cpu"]
    program = [sys.executable, "-m", "napari_medsyn.cli"]
    peak, seconds, _ = peak_of(
        [*program, "generate", "--model", "benchmark-dcgan", "--n", str(n), *where]
    )
    return {"what": f"medsyn generate --n {n}", "peak MB": 1e3 * peak, "seconds": seconds}


def speed(package: Path, net: Generator, turns: int) -> list[dict[str, object]]:
    """Milliseconds for an image: the bare network, and ours."""
    latents = torch.stack([latent(seed, LATENT) for seed in range(TURN)])
    draw = sampler(package, device="cpu")

    def bare(size: int) -> None:
        with torch.inference_mode():
            for start in range(0, TURN, size):
                net(latents[start : start + size])

    ways: dict[str, Callable[[], object]] = {
        "bare network, one at a time": lambda: bare(1),
        f"bare network, {BATCH} at a time": lambda: bare(BATCH),
        "sampler(): one call an image": lambda: [draw(seed=seed) for seed in range(TURN)],
        "Sampler.samples(): in batches, with provenance": lambda: list(draw.samples(range(TURN))),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            began = perf_counter()
            way()
            if turn:  # the first one loads and warms up
                times[name].append((perf_counter() - began) / TURN)
    return [{"what": name, "ms an image": 1e3 * median(some)} for name, some in times.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10)
    parser.add_argument("--many", type=int, default=1000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        os.environ["MEDSYN_HOME"] = place
        package = home / "models" / "benchmark-dcgan"
        net = make_package(package, options.width)
        assert next(generate(package, 1, device="cpu")).images["MG"].shape == (128, 128, 1)
        facts = {"processor": processor(), "threads": torch.get_num_threads()}
        rows = [memory(home, n) for n in (options.few, options.many)]
        grown = rows[1]["peak MB"] - rows[0]["peak MB"]  # type: ignore[operator]
        report("generating: memory", rows, grown_mb=grown, **facts)
        report("generating: speed", speed(package, net, options.turns), **facts)


if __name__ == "__main__":
    main()
