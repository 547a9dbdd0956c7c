"""A card of the counterfactual kind, and a dock in which its model is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.plugin._fakes import FakeEngine, make_card
from tests.plugin.conftest import Dock

from napari_medsyn.exploration.requests import Finished
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Entry

#: The patient's own values, as an inversion of the tests estimates them.
OWN = {"age": 44.0, "sex": "F", "ventricles": 22.5, "cohort": "ixi"}

CONTROLS: list[dict[str, Any]] = [
    {
        "kind": "continuous", "name": "age", "label": "Age", "unit": "years", "minimum": 18,
        "maximum": 95, "default": 50, "step": 1, "support": (20, 85), "unknown": True,
        "help": "Age in years.",
    },
    {
        "kind": "categorical", "name": "sex", "label": "Sex", "default": "F", "unknown": True,
        "categories": [{"value": "F", "label": "female"}, {"value": "M", "label": "male"}],
    },
    {
        "kind": "continuous", "name": "ventricles", "label": "Ventricles", "unit": "ml",
        "minimum": 5, "maximum": 90, "default": 25, "step": 0.5, "unknown": True,
        "help": "Volume of the lateral ventricles in MNI152 space.",
    },
    {
        "kind": "categorical", "name": "cohort", "label": "Cohort", "default": "ixi",
        "categories": [
            {"value": "ixi", "label": "IXI, healthy, 3 T"},
            {"value": "ms", "label": "MS, Ljubljana, 3 T"},
        ],
    },
    {"kind": "seed", "name": "seed", "label": "Seed", "default": 0},
    {
        "kind": "continuous", "name": "truncation", "label": "Truncation", "minimum": 0,
        "maximum": 1.5, "default": 1, "step": 0.05,
    },
    {
        "kind": "integer", "name": "mixing", "label": "Mixing", "minimum": 0, "maximum": 6,
        "default": 0,
    },
    {"kind": "seed", "name": "mixing_seed", "label": "Mixing seed", "default": 1},
    {
        "kind": "latent", "name": "directions", "label": "Directions",
        "directions": ["PC 1 · ventricles +", "PC 2 · contrast", "PC 3"],
    },
]  # fmt: skip


def people_card(**changes: Any) -> ModelCard:
    """The card of a model that makes people, and counterfactuals of a patient's T1."""
    values: dict[str, Any] = {
        "id": "people",
        "name": "MSSG brain T1",
        "task": "counterfactual",
        "inputs": ("T1",),
        "outputs": ("T1",),
        "min_inputs": 0,
        "controls": CONTROLS,
        "covariates": ("age", "sex", "ventricles", "cohort"),
    }
    return make_card(**{**values, **changes})


def choose_people(dock: Dock, **changes: Any) -> None:
    """Have `dock` list the model of `people_card`, and choose it."""
    entry = Entry("people", Path("/models/people"), "user", people_card(**changes))
    dock.session.catalogue._entries += (entry,)  # type: ignore[attr-defined]
    dock.session.choose_model("people")


def invert(dock: Dock, psnr_db: float = 27.94, warning: str = "", **own: Any) -> None:
    """Press the button, and have the engine find `OWN` (or what `own` says otherwise)."""
    dock.explorer.run_panel.impute.click()
    answer(dock.engine, {"psnr_db": psnr_db, "own": {**OWN, **own}, "warning": warning})


def answer(engine: FakeEngine, findings: dict[str, Any] | None = None, which: int = -1) -> None:
    """Finish a request as the real engine does, its controls in the provenance."""
    request = engine.requests[which]
    controls = {
        name: dict(value) if name == "own" else value for name, value in request.controls.items()
    }
    provenance = {"model": "people", "device": "cpu", "controls": controls}
    event = Finished(request.generation, engine.arrays(which), provenance, findings=findings or {})
    engine._handlers[which](event)


def swept_arrays(shape: tuple[int, int, int], steps: int) -> dict[str, np.ndarray]:
    """Output to (steps, X, Y, Z): each voxel tells its step and its place."""
    voxels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    stack = np.stack([voxels + 1000 * step for step in range(steps)])
    return {"counterfactual_T1": stack, "difference_T1": stack - voxels}
