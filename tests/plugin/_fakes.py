"""A model card, a catalogue and an engine for tests of the dock; no torch, no waiting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.engines.base import OnEvent
from napari_medsyn.exploration.requests import (
    Failed,
    Finished,
    Progress,
    Request,
    SlabReady,
    Stopped,
    Viewport,
)
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Entry

MODALITIES = ("T1", "T1c", "T2", "FLAIR")


def make_card(**changes: Any) -> ModelCard:
    """The card of a small model of the mmhvae kind."""
    values: dict[str, Any] = {
        "schema_version": 1,
        "id": "fake-brain-mr",
        "version": "1.0.0",
        "name": "Brain MR imputation 1 mm",
        "summary": "Imputes missing brain MR modalities.",
        "family": "fake",
        "architecture": {},
        "files": [{"name": "weights.safetensors", "bytes": 1, "sha256": "0" * 64}],
        "grid": {
            "shape": (8, 9, 10),
            "spacing_mm": (1, 1, 1),
            "origin_mm": (0, 0, 0),
            "space": "MNI152",
            "dim": "2D axial",
        },
        "intensity": {"rule": "percentile", "percentile": 99.5},
        "inputs": MODALITIES,
        "outputs": MODALITIES,
        "controls": [
            {
                "kind": "modality_set",
                "name": "present",
                "label": "Read",
                "choices": MODALITIES,
                "minimum": 1,
            },
            {"kind": "modality_set", "name": "targets", "label": "Impute", "choices": MODALITIES},
            {
                "kind": "continuous",
                "name": "temperature",
                "label": "Temperature",
                "help": "Spread of the posterior samples; 0 gives the mean path.",
                "minimum": 0,
                "maximum": 1,
                "default": 0.5,
                "step": 0.01,
            },
            {
                "kind": "integer",
                "name": "samples",
                "label": "Samples",
                "help": "Posterior samples; more give a steadier uncertainty and take longer.",
                "minimum": 1,
                "maximum": 32,
                "default": 8,
            },
            {"kind": "seed", "name": "seed", "label": "Seed", "default": 0},
        ],
        "metrics": [
            {
                "name": "PSNR",
                "value": 25.1,
                "direction": "higher",
                "data_set": "MS, left out",
                "n": 3,
            }
        ],
        "training_data": [{"name": "MS", "licence": "CC-BY-4.0", "n": 5}],
        "licence": "CC-BY-SA-4.0",
        "authors": ["The developers"],
        "intended_use": "Research on missing modalities.",
        "limitations": ["Contrast enhancement cannot be known from the other modalities."],
        "provenance": {},
    }
    return ModelCard.model_validate({**values, **changes})


class FakeCatalogue:
    """One usable model and one broken package."""

    def __init__(self) -> None:
        self.card = make_card()
        self._entries = (
            Entry(self.card.id, Path("/models/fake"), "embedded", self.card),
            Entry("torn", Path("/models/torn"), "user", None, "torn: weights are missing"),
        )

    def entries(self) -> tuple[Entry, ...]:
        return self._entries

    def generators(self) -> tuple[Entry, ...]:
        return self._entries

    def get(self, model_id: str, kind: str | None = None) -> Entry:
        for entry in self._entries:
            if entry.id == model_id and entry.card is not None:
                return entry
        raise UnusableModel(f"there is no model {model_id!r}")

    def default(self) -> Entry:
        return self._entries[0]


class FakeEngine:
    """Answers when the test says so; every voxel tells which request it came from.

    A voxel of an output is `100 * generation + number of the output + z / 100`.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.looked_at: list[Viewport] = []
        self.cancelled = 0
        self.closed = False
        self._handlers: list[OnEvent] = []

    def submit(self, request: Request, on_event: OnEvent) -> None:
        self.requests.append(request)
        self._handlers.append(on_event)

    def look_at(self, viewport: Viewport) -> None:
        self.looked_at.append(viewport)

    def cancel(self) -> None:
        self.cancelled += 1

    def close(self) -> None:
        self.closed = True

    def arrays(self, which: int = -1) -> dict[str, NDArray[np.float32]]:
        request = self.requests[which]
        shape = request.reference.voxels.shape
        along_z = np.arange(shape[2], dtype=np.float32) / 100
        return {
            name: np.broadcast_to(100 * request.generation + number + along_z, shape).astype(
                np.float32
            )
            for number, name in enumerate(request.outputs)
        }

    def progress(self, done: int, total: int, phase: str = "Imputing", which: int = -1) -> None:
        generation = self.requests[which].generation
        self._handlers[which](Progress(generation, done, total, phase))

    def prepare(self, phase: str = "Preparing T2", which: int = -1) -> None:
        generation = self.requests[which].generation
        self._handlers[which](Progress(generation, 0, 0, phase, "preparing"))

    def slab(self, axis: int, start: int, stop: int, which: int = -1) -> None:
        planes = [slice(None)] * 3
        planes[axis] = slice(start, stop)
        part = {name: array[tuple(planes)] for name, array in self.arrays(which).items()}
        generation = self.requests[which].generation
        self._handlers[which](SlabReady(generation, axis, start, stop, part))

    def finish(self, which: int = -1, notes: tuple[str, ...] = ()) -> None:
        request = self.requests[which]
        provenance = {"model": "fake-brain-mr", "device": "cpu", "generation": request.generation}
        event = Finished(request.generation, self.arrays(which), provenance, notes)
        self._handlers[which](event)

    def fail(self, message: str, detail: str = "Traceback …", which: int = -1) -> None:
        self._handlers[which](Failed(self.requests[which].generation, message, detail))

    def stop(self, which: int = -1) -> None:
        self._handlers[which](Stopped(self.requests[which].generation))
