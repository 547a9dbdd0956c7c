"""A model of people for the tests of the command line: its answers are known by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tests import _fakes
from tests._fakes import make_package
from tests.cli._covariates import CONTROLS, COVARIATES

from napari_medsyn.models.family import Edit, Region, Rendered
from napari_medsyn.registry.card import ModelCard

FAMILIES = {**_fakes.FAMILIES, "people": "tests.cli._people:load"}

#: What the inversion finds of everybody, unless it is told.
ESTIMATED = {"age": 44.0, "sex": "F"}
PSNR_DB = 28.25
#: By how much a year brightens the scan, in normalised intensity.
PER_YEAR = 0.01
#: Logarithm of how much tissue grows in a year.
GROWTH = -0.001
WARNING = "The reconstruction is poor: this person is unlike those of the training."


class People:
    """A year makes the scan brighter by `PER_YEAR` everywhere; tissue grows by `GROWTH`."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def condition(self, study: Any, controls: Mapping[str, Any]) -> Any:
        return study

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: Mapping[str, Any]
    ) -> Sequence[Region]:
        steps = [Region((), f"Inverting {k + 1} of 2") for k in range(2)]
        return [*(steps if controls.get("task") == "invert" else []), Region(tuple(slices))]

    def render(self, conditioning: Any, controls: Mapping[str, Any], region: Region) -> Rendered:
        shape = (*self.card.grid.shape[:2], len(region.slices))
        if controls["mirror"]:
            raise ZeroDivisionError("a bug in the model")
        if controls.get("task") == "generate":
            return Rendered(region, {"T1": np.full(shape, (controls["age"] or 0) / 100, "f4")})
        own = controls["own"]
        if controls["task"] == "invert":
            return Rendered(region, {"T1": np.zeros(shape, "f4")}, findings=_findings(own))
        years = (own["age"] if controls["age"] is None else controls["age"]) - own["age"]
        change = {"T1": np.full(shape, years * PER_YEAR, "f4")}
        jacobian = np.full(shape, years * GROWTH, "f4")
        edit = Edit(change, np.zeros((3, *shape), "f4"), jacobian)
        return Rendered(region, {"T1": np.zeros(shape, "f4")}, edit=edit)


def _findings(stated: Mapping[str, Any]) -> dict[str, Any]:
    own = {**ESTIMATED, **stated}
    # People of 20 are beyond what this model knows.
    poor = own["age"] < 30
    return {"psnr_db": PSNR_DB, "own": own, "warning": WARNING if poor else ""}


def load(card: ModelCard, weights: Path, device: str) -> People:
    """The loader that `FAMILIES` names."""
    assert weights.is_file()
    return People(card)


def make_people(folder: Path, **changes: Any) -> Path:
    """Write the package; `changes` replace fields of its card."""
    values: dict[str, Any] = {
        "id": folder.name,
        "name": "People",
        "family": "people",
        "task": "counterfactual",
        "inputs": ["T1"],
        "outputs": ["T1"],
        "min_inputs": 0,
        "controls": CONTROLS,
        "covariates": COVARIATES,
    }
    return make_package(folder, **{**values, **changes})
