"""What may be asked of an engine, and what it answers.

Requests and events are frozen values that can cross to another process.  Every
event carries the generation of the request it answers; one of an older
generation than the newest request is stale and never reaches a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.exploration.blank import blank_scan
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.preparation.options import PreparationOptions
from napari_medsyn.scans.study import Scan, Study

__all__ = [
    "Event",
    "Failed",
    "Finished",
    "PreparationOptions",
    "Progress",
    "Request",
    "SlabReady",
    "Stopped",
    "Viewport",
]


@dataclass(frozen=True, slots=True)
class Viewport:
    """The plane on screen: array axis (0, 1 or 2) and index on the reference scan's grid."""

    axis: int
    index: int


@dataclass(frozen=True, eq=False, slots=True)
class Request:
    """One thing to compute, complete: nothing else is read while it runs.

    Parameters
    ----------
    generation : number that grows with each request of a session.
    study : the scans; `controls["present"]` says which of them the model may read.  Empty
        where images of nobody are made.
    package : folder of the model (card.json and weights.safetensors).
    controls : value of every control of the card.
    outputs : what to give back, by file stem: "imputed_FLAIR", "uncertainty_FLAIR",
        "reconstruction_T1", "residual_T1" (|reconstruction - scan|), "generated_T1",
        "counterfactual_T1" and "difference_T1" (counterfactual - scan) in the scanner's
        units, "jacobian_T1" (natural logarithm).
    viewport : what is on screen, computed first; None computes in natural order.
    canvas : grid of the results where there is no scan; None stands for the first scan's.
    """

    generation: int
    study: Study
    package: Path
    controls: Mapping[str, Any]
    outputs: tuple[str, ...]
    viewport: Viewport | None = None
    options: PreparationOptions = field(default_factory=PreparationOptions)
    device: str = "auto"
    canvas: Grid | None = None

    @property
    def reference(self) -> Scan:
        """The scan on whose grid the results are; an empty one where there is no patient."""
        if self.canvas is None:
            return self.study.reference
        return blank_scan(self.canvas)


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` steps of `phase` ("Preparing T2", "Imputing", …).

    `total` 0 means that the length is not known.  `stage` says which state of the
    session it belongs to: "preparing" until the first region is rendered.
    """

    generation: int
    done: int
    total: int
    phase: str
    stage: Literal["preparing", "running"] = "running"


@dataclass(frozen=True, eq=False, slots=True)
class SlabReady:
    """New voxels of every output for planes [start, stop) along `axis` of the reference grid.

    `arrays`: output name to (X, Y, Z) float32 in which that axis has stop - start planes.
    """

    generation: int
    axis: int
    start: int
    stop: int
    arrays: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False, slots=True)
class Finished:
    """All outputs whole, on the reference grid, with what is needed to make them again.

    `arrays`: output name to (X, Y, Z) float32.  `provenance`: JSON-able.  `notes`:
    sentences the user should read (fell back to the CPU, had to register, …).
    `findings`: what the model found out on the way (`models.family.Rendered.findings`).
    """

    generation: int
    arrays: Mapping[str, NDArray[np.float32]]
    provenance: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    findings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The request failed; `message` is for the user, `detail` for a bug report.

    `cause` tells what has to be mended: the scans or the model ("input"), or something
    about this computer or program ("engine").
    """

    generation: int
    message: str
    detail: str = ""
    cause: Literal["input", "engine"] = "engine"


@dataclass(frozen=True, slots=True)
class Stopped:
    """The request was cancelled or overtaken; nothing more of it will come."""

    generation: int


Event = Progress | SlabReady | Finished | Failed | Stopped
