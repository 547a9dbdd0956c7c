"""What the process engine and its child say to each other.

Small frozen values; arrays stay in `shared_arrays`.  A job is a request under the
engine's own number, which no two requests share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.exploration.requests import Failed, Progress, Request, Stopped, Viewport
from napari_medsyn.scans.study import Scan, Study

# ---- to the child ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Voxels:
    """A scan's voxels for the jobs to come; the child copies them out of the file."""

    content_hash: str
    path: Path
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, eq=False, slots=True)
class Job:
    """A request without voxels: those of `content_hashes`, in the order of the scans.

    `path` names the buffer for the outputs.
    """

    number: int
    request: Request
    content_hashes: tuple[str, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class LookAt:
    """What is on screen by now."""

    number: int
    viewport: Viewport


@dataclass(frozen=True, slots=True)
class Cancel:
    """Drop that job, and say so with `Dropped`."""

    number: int


# ---- from the child ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """The child has read one more message, and attached what it names."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The child has read that a job is to be dropped, so it listens: no need to kill it."""

    number: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An event without arrays."""

    number: int
    event: Progress | Failed | Stopped


@dataclass(frozen=True, slots=True)
class Planes:
    """Planes [start, stop) along `axis` are in the buffer."""

    number: int
    axis: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False, slots=True)
class Whole:
    """All outputs are in the buffer, planes along `axis` contiguous."""

    number: int
    axis: int
    provenance: Mapping[str, Any]
    notes: tuple[str, ...]
    findings: Mapping[str, Any]


def without_voxels(request: Request) -> Request:
    """`request` with empty scans: small enough to send."""
    nothing = np.empty((0, 0, 0), np.uint8)
    scans = tuple(replace(scan, voxels=nothing) for scan in request.study)
    return replace(request, study=Study(scans, dict(request.study.facts)))


def with_voxels(job: Job, voxels: Mapping[str, NDArray[Any]]) -> Request:
    """The request of `job` with its scans' voxels in place."""
    scans = []
    for scan, content_hash in zip(job.request.study, job.content_hashes, strict=True):
        whole: Scan = replace(scan, voxels=voxels[content_hash])
        # The parent has computed it; `cached_property` looks here first.
        whole.__dict__["content_hash"] = content_hash
        scans.append(whole)
    return replace(job.request, study=Study(tuple(scans), job.request.study.facts))
