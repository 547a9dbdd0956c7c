"""A model of people and counterfactuals whose answers are known by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests import _fakes
from tests._fakes import FakePrepared, make_package, make_scan
from tests.evaluation._judges import JUDGES, make_judge

from napari_medsyn.models.family import Edit, Region, Rendered
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.scans.preparation.intensity import IntensityScale

FAMILIES = {**_fakes.FAMILIES, "people": "tests._people:load"}

#: Covariates, which may be unknown, and controls that are no covariates.
CONTROLS = [
    {
        "kind": "continuous",
        "name": "age",
        "label": "Age",
        "minimum": 18,
        "maximum": 90,
        "step": 1,
        "default": 45.0,
        "unit": "years",
        "support": [20, 86],
        "unknown": True,
    },
    {
        "kind": "categorical",
        "name": "sex",
        "label": "Sex",
        "default": "F",
        "categories": [{"value": "F", "label": "Female"}, {"value": "M", "label": "Male"}],
        "unknown": True,
    },
    {
        "kind": "continuous",
        "name": "truncation",
        "label": "Truncation",
        "minimum": 0,
        "maximum": 1.5,
        "step": 0.05,
        "default": 1.0,
    },
    {
        "kind": "integer",
        "name": "mixing",
        "label": "Mixing",
        "minimum": 0,
        "maximum": 6,
        "default": 0,
    },
    {"kind": "boolean", "name": "mirror", "label": "Mirror"},
    {"kind": "latent", "name": "latent", "label": "Latent", "directions": ["wide", "tall", "old"]},
    {"kind": "seed", "name": "seed", "label": "Seed"},
]

COVARIATES = ("age", "sex")

#: Units of the scanner that are 1 in normalised intensity.
BRIGHTEST = 100.0

#: What the inversion finds of everybody, unless it is told.
ESTIMATED = {"age": 44.0, "sex": "F"}
PSNR_DB = 28.25
#: By how much a year brightens the scan, in normalised intensity.
PER_YEAR = 0.01
#: Logarithm of how much tissue grows in a year.
GROWTH = -0.001
#: Where the model changes anything: the whole of `make_scan("T1")` that is not background.
BRAIN = make_scan("T1").voxels > 0
WARNING = "The reconstruction is poor: this person is unlike those of the training."


def brighter(years: float) -> NDArray[np.float32]:
    """`make_scan("T1")` as the model shows it `years` later, in the scanner's units."""
    return make_scan("T1").voxels + BRAIN * np.float32(years * PER_YEAR * BRIGHTEST)


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


def make_covariate_judge(folder: Path) -> Path:
    """A judge that goes by the id of the embedded one, and reads the brightness as an age."""
    readings = [{"name": "brightness", "label": "Brightness"}]
    return make_judge(folder, id="judge-covariates-t1", outputs=[], legends={}, readings=readings)


def prepare(study: Any, target: Any, options: Any, *hooks: Any, **named: Any) -> FakePrepared:
    """`_fakes.prepare`, with what 1 is in the scanner's units."""
    prepared = _fakes.prepare(study, target, options, *hooks, **named)
    prepared.scales = {name: IntensityScale(0.0, BRIGHTEST) for name in prepared.volumes}
    return prepared


def at_home(tmp_path: Path, monkeypatch: Any) -> Path:
    """Make the model of people the only one there is; give the user's folder of models."""
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        "napari_medsyn.registry.catalogue.embedded_folder", lambda: tmp_path / "none"
    )
    monkeypatch.setattr("napari_medsyn.models.families.TABLE", FAMILIES)
    monkeypatch.setattr("napari_medsyn.models.families.load_judge.__defaults__", (JUDGES,))
    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", prepare)
    folder = tmp_path / "home" / "models"
    make_people(folder / "people")
    return folder
