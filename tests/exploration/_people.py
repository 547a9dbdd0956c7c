"""A family that edits a patient's scan, and its package: answers known by hand.

A year more moves the tissue by `MM_PER_YEAR`; a millilitre more in the ventricles darkens by
`DARKER`.  Persons of nobody are as bright as they are old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tests import _fakes

from napari_medsyn.exploration.controls import INVERT, OWN, TASK
from napari_medsyn.models.family import Edit, Region, Rendered
from napari_medsyn.registry.card import ModelCard

FAMILIES = {**_fakes.FAMILIES, "people": "tests.exploration._people:load"}

#: Along x, y, z of the model's world.
MM_PER_YEAR = np.array([0.05, -0.03, 0.02])
DARKER = -0.01

#: What an inversion finds where nobody states it.
FOUND = {"age": 44.37, "sex": "F", "ventricles": 20.2, "lesions": 1.0, "cohort": "ixi"}

CONTROLS: list[dict[str, Any]] = [
    {
        "kind": "continuous", "name": "age", "label": "Age", "unit": "years", "minimum": 20,
        "maximum": 90, "step": 1, "default": 50, "support": [25, 85], "unknown": True,
    },
    {
        "kind": "categorical", "name": "sex", "label": "Sex", "default": "F", "unknown": True,
        "categories": [{"value": "F", "label": "female"}, {"value": "M", "label": "male"}],
    },
    {
        "kind": "continuous", "name": "ventricles", "label": "Ventricles", "unit": "ml",
        "minimum": 5, "maximum": 100, "step": 0.5, "default": 25, "unknown": True,
    },
    {
        "kind": "continuous", "name": "lesions", "label": "Lesions", "unit": "ml",
        "minimum": 0, "maximum": 60, "step": 0.5, "default": 0, "unknown": True,
    },
    {
        "kind": "categorical", "name": "cohort", "label": "Cohort", "default": "ixi",
        "unknown": True,
        "categories": [{"value": "ixi", "label": "IXI"}, {"value": "ms", "label": "MS"}],
    },
    {"kind": "seed", "name": "seed", "label": "Seed"},
    {
        "kind": "categorical", "name": "mood", "label": "Mood", "default": "good",
        "categories": [{"value": mood, "label": mood} for mood in ("good", "bug", "no edit")],
    },
]  # fmt: skip


class People:
    """Inverts in two steps, then edits slice by slice."""

    STEPS = 2

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def condition(self, study: Any, controls: Mapping[str, Any]) -> Any:
        return study

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: Mapping[str, Any]
    ) -> Sequence[Region]:
        steps = []
        if controls.get(TASK) == INVERT:
            steps = [Region((), f"Inverting {k + 1} of {self.STEPS}") for k in range(self.STEPS)]
        rest = tuple(k for k in slices if k not in set(first))
        return [*steps, *(Region(part) for part in (tuple(first), rest) if part)]

    def render(self, study: Any, controls: Mapping[str, Any], region: Region) -> Rendered:
        if controls["mood"] == "bug":
            raise ZeroDivisionError("a bug in the model")
        if study is None:
            age = controls["age"] or 0
            shape = (*self.card.grid.shape[:2], len(region.slices))
            return Rendered(region, {"T1": np.full(shape, age / 100, np.float32)})
        shape = (*study.grid.shape[:2], len(region.slices))
        if controls[TASK] == INVERT:
            mean = {"T1": np.full(shape, 0.5, np.float32)} if region.slices else {}
            own = {**FOUND, **controls[OWN]}
            return Rendered(region, mean, findings={"psnr_db": 28.5, "own": own, "warning": ""})
        if controls["mood"] == "no edit":
            return Rendered(region, {})
        return Rendered(region, {}, edit=edit_of(controls, shape))


def edit_of(controls: Mapping[str, Any], shape: tuple[int, ...]) -> Edit:
    """What the family does to a patient; nothing at the patient's own values."""
    own = controls[OWN]
    years = (controls["age"] or 0) - (own["age"] or 0)
    more = (controls["ventricles"] or 0) - (own["ventricles"] or 0)
    moved = np.broadcast_to((years * MM_PER_YEAR)[:, None, None, None], (3, *shape))
    return Edit(
        change={"T1": np.full(shape, DARKER * more, np.float32)},
        displacement=moved.astype(np.float32),
        jacobian=np.full(shape, 0.001 * years, np.float32),
    )


def load(card: ModelCard, weights: Path, device: str) -> People:
    """The loader that `FAMILIES` names."""
    assert weights.is_file()
    return People(card)


def make_people(folder: Path, **changes: Any) -> Path:
    """Write a package of the family; `changes` replace fields of its card."""
    fields: dict[str, Any] = {
        "id": "people",
        "name": "People",
        "family": "people",
        "task": "counterfactual",
        "inputs": ["T1"],
        "outputs": ["T1"],
        "min_inputs": 0,
        "controls": CONTROLS,
        "covariates": ["age", "sex", "ventricles", "lesions", "cohort"],
    }
    return _fakes.make_package(folder, **{**fields, **changes})
