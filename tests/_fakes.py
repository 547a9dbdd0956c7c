"""A model package and a family for tests: exact answers, and hooks for what goes wrong.

The hooks ride on a control of the card (`mood`), so that they reach a child process, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from napari_medsyn.errors import Cancelled
from napari_medsyn.models.family import Region, Rendered
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.study import Scan, Study

#: What `Session`, engines and `run` are given instead of the real table.
FAMILIES = {"fake": "tests._fakes:load"}

#: Shape of the fake model's grid: unequal sides, 1 mm, origin at world (-5, -6, -7).
SHAPE = (10, 12, 14)
ORIGIN = (-5.0, -6.0, -7.0)

MODALITIES = ("T1", "T2", "FLAIR")

MOODS = ("good", "slow", "hang", "bug", "crash", "short", "full")


def answer_of(modality: str, k: int, temperature: float = 0.5) -> float:
    """What the fake model says of slice `k`: different for each modality and temperature."""
    return 0.1 + 0.2 * MODALITIES.index(modality) + 0.01 * k + 0.1 * temperature


class FakeFamily:
    """Answers `answer_of`; the spread is half the temperature."""

    #: Slices in one region.
    BATCH = 4

    def __init__(self, card: ModelCard, device: str = "cpu") -> None:
        self.card = card
        self.device = device
        self.conditioned = 0
        self.rendered: list[tuple[int, ...]] = []

    def condition(self, study: Any, controls: Mapping[str, Any]) -> Any:
        self.conditioned += 1
        return study

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: Mapping[str, Any]
    ) -> Sequence[Region]:
        rest = [k for k in slices if k not in set(first)]
        regions = [Region(tuple(first))] if first else []
        return [
            *regions,
            *(Region(tuple(rest[i : i + self.BATCH])) for i in range(0, len(rest), self.BATCH)),
        ]

    def render(self, conditioning: Any, controls: Mapping[str, Any], region: Region) -> Rendered:
        self._misbehave(controls.get("mood", "good"), region)
        self.rendered.append(region.slices)
        shape = (*conditioning.grid.shape[:2], len(region.slices))
        temperature = controls["temperature"]
        mean = {}
        for modality in controls["targets"]:
            values = [answer_of(modality, k, temperature) for k in region.slices]
            mean[modality] = np.broadcast_to(np.array(values, np.float32), shape).copy()
        std = {m: np.full(shape, temperature / 2, np.float32) for m in mean}
        return Rendered(region, mean, std)

    def _misbehave(self, mood: str, region: Region) -> None:
        match mood:
            case "slow":
                time.sleep(0.05)
            case "hang":
                time.sleep(600)
            case "bug":
                raise ZeroDivisionError("a bug in the model")
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "short" if len(region.slices) > 2:
                raise MemoryError
            case "full":
                raise MemoryError


def load(card: ModelCard, weights: Path, device: str) -> FakeFamily:
    """The loader that `FAMILIES` names."""
    assert weights.is_file()
    return FakeFamily(card, device)


def card_values(**changes: Any) -> dict[str, Any]:
    """A valid card as JSON values, but for its files."""
    values: dict[str, Any] = {
        "schema_version": 1,
        "id": "fake-brain",
        "version": "1.2.0",
        "name": "Fake brain",
        "family": "fake",
        "architecture": {"layout": "none"},
        "files": [{"name": "weights.safetensors", "bytes": 1, "sha256": "0" * 64}],
        "grid": {
            "shape": list(SHAPE),
            "spacing_mm": [1.0, 1.0, 1.0],
            "origin_mm": list(ORIGIN),
            "space": "MNI152",
            "dim": "2D axial",
        },
        "intensity": {"background": 0.0, "rule": "percentile", "percentile": 99.5},
        "inputs": list(MODALITIES),
        "outputs": list(MODALITIES),
        "min_inputs": 1,
        "controls": [
            {
                "kind": "continuous",
                "name": "temperature",
                "label": "Temperature",
                "minimum": 0.0,
                "maximum": 1.0,
                "step": 0.05,
                "default": 0.5,
                "support": [0.0, 0.9],
            },
            {
                "kind": "integer",
                "name": "samples",
                "label": "Samples",
                "minimum": 1,
                "maximum": 32,
                "default": 8,
            },
            {"kind": "seed", "name": "seed", "label": "Seed"},
            {
                "kind": "categorical",
                "name": "mood",
                "label": "Mood",
                "default": "good",
                "categories": [{"value": mood, "label": mood} for mood in MOODS],
            },
        ],
        "metrics": [
            {"name": "PSNR", "value": 25.0, "direction": "higher", "data_set": "made up", "n": 3}
        ],
        "training_data": [{"name": "made up", "licence": "CC0-1.0", "n": 3}],
        "licence": "BSD-3-Clause",
        "authors": ["Nobody"],
        "intended_use": "Tests.",
        "limitations": ["Knows nothing."],
        "provenance": {"command": "none", "seed": 0, "data_hash": "none"},
    }
    return {**values, **changes}


def make_package(folder: Path, **changes: Any) -> Path:
    """Write a valid package of the fake family; `changes` replace fields of the card."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "weights.safetensors"
    save_file({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2)}, weights)
    content = weights.read_bytes()
    file = {
        "name": weights.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / "card.json").write_text(json.dumps(card_values(**{"files": [file], **changes})))
    return folder


def make_scan(modality: str, shape: tuple[int, int, int] = SHAPE, **fields: Any) -> Scan:
    """A scan on the fake model's grid: a bright box in the middle, different per modality."""
    rng = np.random.default_rng(MODALITIES.index(modality) if modality in MODALITIES else 99)
    voxels = np.zeros(shape, np.float32)
    inner = tuple(slice(2, n - 2) for n in shape)
    voxels[inner] = rng.uniform(50, 100, [n - 4 for n in shape])
    affine = np.eye(4)
    affine[:3, 3] = ORIGIN
    return Scan(**{"voxels": voxels, "affine": affine, "modality": modality, **fields})


class FakePrepared:
    """A study whose scans lie on the fake model's grid already: the way back is the identity.

    Slices follow each other along the reference grid's last axis, one for each plane.
    """

    def __init__(self, study: Study, target: Grid) -> None:
        self.grid = target
        self.reference = study.reference.grid
        self.to_model = np.eye(4)
        self.volumes = {scan.modality: scan.voxels.astype(np.float32) / 100 for scan in study}
        self.reference_volumes = self.volumes
        self.mask = self.reference_mask = study.reference.voxels > 0
        self.steps = ({"step": "nothing"},)
        self.notes = ("A fake preparation.",)
        self.content_hash = study.content_hash

    def to_reference(
        self, volume: Any, *, axis: int | None = None, start: int = 0, stop: int | None = None
    ) -> Any:
        planes = (slice(None),) * (axis or 0) + (slice(start, stop),)
        return np.where(self.reference_mask[planes], volume[planes], np.float32(0))

    def model_slices(self, axis: int, start: int, stop: int) -> range:
        return range(start, stop) if axis == 2 else range(self.grid.shape[2])


def prepare(
    study: Study,
    target: Grid,
    options: Any,
    progress: Callable[[int, int, str], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> FakePrepared:
    """Stands in for `scans.preparation.prepare`; tells one step and listens once."""
    if progress is not None:
        progress(1, 1, "Preparing")
    if should_stop is not None and should_stop():
        raise Cancelled("stopped while preparing")
    return FakePrepared(study, target)
