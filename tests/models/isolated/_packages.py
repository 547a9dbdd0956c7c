"""Packages with code for tests: small, numpy only, each as good or bad as it is made."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from napari_medsyn.models.isolated.architecture import read_architecture
from napari_medsyn.models.isolated.process import Limits, Runner
from napari_medsyn.registry.building import build_package
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.consent import give_consent

#: Width and height of the pictures: unequal, so that a transposed one is noticed.
WIDTH, HEIGHT = 6, 4

#: Pixel (row, column) is row * 10 + column + 100 * the first number of the latent.
GOOD = """
import numpy as np

def generate(model_file, num_samples, output_path, save_images, input_latent_vector=None, **more):
    rows, columns = np.mgrid[:4, :6]
    value = rows * 10.0 + columns + 100 * float(input_latent_vector[0, 0, 0, 0])
    return [np.clip(value, 0, 255).astype(np.uint8)] * num_samples
"""


def card_fields(**changes: Any) -> dict[str, Any]:
    """Card of a package with a latent of three numbers and an argument `brightness`."""
    fields: dict[str, Any] = {
        "schema_version": 1,
        "id": "made-code",
        "version": "1.0",
        "name": "Made code",
        "execution": "isolated",
        "family": "python",
        "architecture": {
            "weights": "code/weights.txt",
            "module": "model",
            "latent": {"argument": "input_latent_vector", "size": 3, "control": "latent"},
        },
        "grid": {"shape": [WIDTH, HEIGHT, 1], "space": "picture", "dim": "2D"},
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
                "directions": ["z1", "z2", "z3"],
            },
        ],
        "requires": {"memory_gb": 1.0},
        "training_data": [{"name": "nothing", "licence": "CC0-1.0"}],
        "licence": "CC0-1.0",
        "authors": ["Nobody"],
        "intended_use": "Tests.",
        "limitations": ["Knows nothing."],
        "provenance": {"command": "none"},
    }
    return {**fields, **changes}


def make_package(folder: Path, code: str = GOOD, **changes: Any) -> tuple[Path, ModelCard]:
    """Build a package with `code` as `code/model.py`; no consent is given."""
    files: dict[str, bytes | Path] = {
        "code/model.py": dedent(code).encode(),
        "code/weights.txt": b"7",
    }
    return folder, build_package(folder, card_fields(**changes), files)


def make_trusted(folder: Path, code: str = GOOD, **changes: Any) -> tuple[Path, ModelCard]:
    """`make_package` with consent, as if the user had read it."""
    package, card = make_package(folder, code, **changes)
    give_consent(package, card)
    return package, card


@contextmanager
def running(
    folder: Path,
    code: str = GOOD,
    limits: Limits | None = None,
    *,
    files: dict[str, bytes | Path] | None = None,
    fields: dict[str, Any] | None = None,
    **changes: Any,
) -> Iterator[Runner]:
    """A process of a trusted package with `code` (or `files`), asked with this Python."""
    if files is None:
        package, card = make_trusted(folder, code, **changes)
    else:
        package, card = folder, build_package(folder, fields or card_fields(**changes), files)
        give_consent(package, card)
    runner = Runner(
        Path(sys.executable), package, card, read_architecture(card), limits or Limits(start_s=60)
    )
    try:
        yield runner
    finally:
        runner.close()


def try_out(folder: Path, body: str, limits: Limits | None = None) -> str:
    """What `body` says when a package runs it; it leaves its answer in `said`."""
    lines = dedent(body).strip().splitlines()
    code = "\n".join(
        [
            "import os",
            "import numpy as np",
            "def generate(model_file, **more):",
            "    said = ''",
            *(f"    {line}" for line in lines),
            "    return [(np.zeros((4, 6), np.uint8), str(said))]",
        ]
    )
    with running(folder, code, limits) as runner:
        return runner.ask({}).texts[0]
