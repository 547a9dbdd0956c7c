"""A generator of exact answers that needs no study, and ways for it to be wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tests._fakes import card_values

from napari_medsyn.evaluation.rendering import Subject
from napari_medsyn.models.family import Region, Rendered
from napari_medsyn.registry.building import build_package
from napari_medsyn.registry.card import ModelCard

#: Unequal sides, few slices.
SHAPE = (4, 5, 6)

#: What `examining` is given instead of the real table.
FAMILIES = {"toy": "tests.evaluation._toy:load"}

CONTROLS: list[dict[str, Any]] = [
    {"kind": "seed", "name": "seed", "label": "Seed"},
    {
        "kind": "continuous",
        "name": "level",
        "label": "Level",
        "minimum": 0,
        "maximum": 1,
        "default": 0.5,
        "step": 0.1,
    },
    {"kind": "latent", "name": "latent", "label": "Latent", "directions": ["left", "right"]},
]

AT_REST = {"seed": 0, "level": 0.5, "latent": (0.0, 0.0), "present": (), "targets": ("T1",)}


def toy_fields(**changes: Any) -> dict[str, Any]:
    """A card of the toy, without its files."""
    fields = card_values(
        id="toy",
        name="Toy",
        family="toy",
        grid={"shape": list(SHAPE), "space": "none", "dim": "3D"},
        intensity={"rule": "unit"},
        inputs=[],
        min_inputs=0,
        outputs=["T1"],
        controls=CONTROLS,
    )
    del fields["files"]
    return {**fields, **changes}


def toy_card(**changes: Any) -> ModelCard:
    """The card as it would be in a package."""
    files = [{"name": "weights.safetensors", "bytes": 1, "sha256": "0" * 64}]
    text = json.dumps({**toy_fields(**changes), "files": files})
    return ModelCard.model_validate_json(text)


def make_toy(folder: Path, **changes: Any) -> ModelCard:
    """A package of the toy."""
    from safetensors.numpy import save

    weights = save({"nothing": np.zeros(1, np.float32)})
    return build_package(folder, toy_fields(**changes), {"weights.safetensors": weights})


def voxel(k: int, controls: Mapping[str, Any] = AT_REST) -> float:
    """What slice `k` is filled with."""
    left, right = controls["latent"]
    seed = 0.01 * (controls["seed"] % 7)
    return 0.3 + 0.01 * k + 0.2 * controls["level"] + seed + 0.01 * left + 0.02 * right


class Toy:
    """Fills each slice with `voxel`; regions of two slices after one step without slices."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.rendered: list[tuple[int, ...]] = []
        self.closed = 0

    def condition(self, study: Any, controls: Mapping[str, Any]) -> dict[str, Any]:
        return {"steps": 0}

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: Mapping[str, Any]
    ) -> list[Region]:
        order = [*first, *(k for k in slices if k not in set(first))]
        pairs = [Region(tuple(order[i : i + 2])) for i in range(0, len(order), 2)]
        return [Region((), "Step 1 of 1"), *pairs]

    def render(self, conditioning: Any, controls: Mapping[str, Any], region: Region) -> Rendered:
        self.rendered.append(region.slices)
        if not region.slices:
            conditioning["steps"] += 1
            return Rendered(region, {})
        assert conditioning["steps"] == 1
        mean = np.zeros((*SHAPE[:2], len(region.slices)), np.float32)
        mean[:] = [voxel(k, controls) for k in region.slices]
        return Rendered(region, {"T1": mean})

    def close(self) -> None:
        self.closed += 1


#: What `load` gave last, to be looked at afterwards.
LOADED: list[Toy] = []


def load(card: ModelCard, weights: Path, device: str) -> Toy:
    """The loader that `FAMILIES` names."""
    LOADED.append(Toy(card))
    return LOADED[-1]


def subject_of(family: Any, card: ModelCard | None = None, **controls: Any) -> Subject:
    """A subject of nobody."""
    return Subject(card or family.card, family, None, {**AT_REST, **controls})
