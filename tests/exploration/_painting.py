"""A family that paints flat pictures of nobody, and its package: answers known by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tests import _fakes

from napari_medsyn.models.family import Region, Rendered
from napari_medsyn.models.whole import WholeImageFamily
from napari_medsyn.registry.card import ModelCard

FAMILIES = {
    **_fakes.FAMILIES,
    "painter": "tests.exploration._painting:load",
    "stepper": "tests.exploration._painting:load_stepper",
}

#: Unequal sides, so that an exchange of rows and columns is seen.
SHAPE = (6, 5, 1)

MOODS = ("good", "uneven", "short", "full", "bug", "interrupted")

CONTROLS = [
    {"kind": "seed", "name": "seed", "label": "Seed"},
    {
        "kind": "continuous",
        "name": "brightness",
        "label": "Brightness",
        "minimum": 0,
        "maximum": 2,
        "step": 0.1,
        "default": 1.0,
        "support": [0.5, 1.5],
    },
    {"kind": "latent", "name": "latent", "label": "Latent", "directions": ["wide", "tall", "old"]},
    {"kind": "boolean", "name": "mirror", "label": "Mirror"},
    {
        "kind": "categorical",
        "name": "grade",
        "label": "Grade",
        "default": 1,
        "categories": [{"value": 1, "label": "One"}, {"value": 2, "label": "Two"}],
    },
    {
        "kind": "categorical",
        "name": "mood",
        "label": "Mood",
        "default": "good",
        "categories": [{"value": mood, "label": mood} for mood in MOODS],
    },
]


def painted(
    seed: int, brightness: float = 1.0, first: float = 0.0, shape: tuple[int, ...] = SHAPE
) -> np.ndarray:
    """What the painter gives for a seed: `shape` float32."""
    noise = np.random.default_rng(seed).random(shape, np.float32)
    return noise * np.float32(brightness) + np.float32(first)


class Painter(WholeImageFamily):
    """Paints `painted` for each output, a tenth brighter for each further one."""

    #: How many pictures were asked for together, by anybody.
    sizes: list[int] = []  # noqa: RUF012 - one list for all, so that a test can see it

    def draw(self, controls: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, np.ndarray]]:
        self.sizes.append(len(controls))
        return [self._one(values, len(controls)) for values in controls]

    def _one(self, values: Mapping[str, Any], together: int) -> Mapping[str, np.ndarray]:
        match values["mood"]:
            case "short" if together > 1:
                raise MemoryError
            case "full":
                raise MemoryError
            case "bug":
                raise ZeroDivisionError("a bug in the model")
            case "interrupted" if values["seed"] % 100 == 3:
                raise KeyboardInterrupt
        shape = self.card.grid.shape
        image = painted(values["seed"], values["brightness"], values["latent"][0], shape)
        if values["mood"] == "uneven":
            image = image + np.float32(1e-6 * (together - 1))
        return {name: image + np.float32(0.1 * k) for k, name in enumerate(self.card.outputs)}


class Stepper:
    """Reaches `painted` in three steps that leave their work in the conditioning."""

    STEPS = 3

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def condition(self, study: Any, controls: Mapping[str, Any]) -> dict[str, Any]:
        assert study is None
        return {"steps": 0}

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: Mapping[str, Any]
    ) -> Sequence[Region]:
        steps = [Region((), f"Denoising {k + 1} of {self.STEPS}") for k in range(self.STEPS)]
        return [*steps, Region(tuple(slices))]

    def render(
        self, conditioning: dict[str, Any], controls: Mapping[str, Any], region: Region
    ) -> Rendered:
        if not region.slices:
            conditioning["steps"] += 1
            return Rendered(region, {})
        assert conditioning["steps"] == self.STEPS
        image = painted(controls["seed"], shape=self.card.grid.shape)
        return Rendered(
            region, {name: image[:, :, list(region.slices)] for name in controls["targets"]}
        )


def load_stepper(card: ModelCard, weights: Path, device: str) -> Stepper:
    """The loader of the stepper that `FAMILIES` names."""
    return Stepper(card)


def load(card: ModelCard, weights: Path, device: str) -> Painter:
    """The loader that `FAMILIES` names."""
    assert weights.is_file()
    return Painter(card)


def make_painter(folder: Path, **changes: Any) -> Path:
    """Write a package of the painter; `changes` replace fields of its card."""
    fields: dict[str, Any] = {
        "id": "painter",
        "name": "Painter",
        "family": "painter",
        "grid": {"shape": list(SHAPE), "space": "none", "dim": "2D"},
        "intensity": {"rule": "unit"},
        "inputs": [],
        "outputs": ["MG"],
        "min_inputs": 0,
        "controls": CONTROLS,
    }
    return _fakes.make_package(folder, **{**fields, **changes})
