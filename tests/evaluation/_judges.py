"""A package of a judge that measures what can be computed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests._fakes import make_package

from napari_medsyn.models.judges.judge import Verdict
from napari_medsyn.registry.card import ModelCard

#: What `load_judge` is given instead of the real table.
JUDGES = {"fake-judge": "tests.evaluation._judges:load"}

READINGS = [
    {"name": "brain", "label": "Brain", "unit": "ml"},
    {"name": "brightness", "label": "Brightness"},
]


class FakeJudge:
    """Reads the volume and the brightest voxel of a brain; maps its bright and dark half."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def read(self, prepared: Any) -> Verdict:
        volume = next(prepared.volumes[m] for m in self.card.inputs if m in prepared.volumes)
        halves = np.where(prepared.mask, 1 + (volume > 0.75), 0).astype(np.uint8)
        voxel_ml = float(np.prod(prepared.grid.spacing)) / 1000
        readings = {"brain": prepared.mask.sum() * voxel_ml, "brightness": float(volume.max())}
        maps = {"halves": halves, "image": volume.astype(np.float32)}
        return Verdict(readings, {"brain": 0.25}, {m: maps[m] for m in self.card.outputs})


def load(card: ModelCard, weights: Path, device: str) -> FakeJudge:
    """The loader that `JUDGES` names."""
    assert weights.is_file()
    assert device == "cpu"
    return FakeJudge(card)


def make_judge(folder: Path, **changes: Any) -> Path:
    """Write the package of a judge; `changes` replace fields of its card."""
    values: dict[str, Any] = {
        "id": folder.name,
        "name": "Fake judge",
        "kind": "judge",
        "family": "fake-judge",
        "inputs": ["T1"],
        "outputs": ["halves"],
        "readings": READINGS,
        "legends": {"halves": [{"code": 1, "name": "dark"}, {"code": 2, "name": "bright"}]},
        "controls": [],
    }
    return make_package(folder, **{**values, **changes})
