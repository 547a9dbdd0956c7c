"""What a scan and a study are.

A `Scan` is one 3D image of one modality with its affine; a `Study` is the scans
of one patient at one time, on any grids.  Both are values: nothing changes them
in place, so they can be shared between threads and used as cache keys.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableStudy
from napari_medsyn.scans.geometry import Affine, Grid

#: Modalities that the field names alike everywhere; "" stands for not known.
MODALITIES = ("T1", "T1c", "T2", "FLAIR", "PD", "DWI", "CT", "PET", "US", "label")


@dataclass(frozen=True, eq=False)
class Scan:
    """One 3D image of one modality on its own grid.

    Parameters
    ----------
    voxels : (X, Y, Z) real numbers, in the scanner's units after any rescale
        slope of the file; read-only.
    affine : (4, 4) float64, voxel index to RAS+ world, mm.
    modality : one of `MODALITIES`, or "" when not known.
    name : what to call it in a list; never a patient's name.
    source : file or folder that it was read from, None for a generated scan.
    is_synthetic : True if a model (or our simulator) made any of its voxels.
    facts : what the file says besides: "age" in years, "sex" "F" or "M", "tags",
        "window" (centre, width), "provenance", "sform_code", "qform_code", ….
    """

    voxels: NDArray[Any]
    affine: Affine
    modality: str = ""
    name: str = ""
    source: Path | None = None
    is_synthetic: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3:
            raise UnusableStudy(
                f"{self.name or 'scan'}: a scan has three axes, this array has shape "
                f"{self.voxels.shape}"
            )
        view = self.voxels.view()
        view.setflags(write=False)
        object.__setattr__(self, "voxels", view)
        object.__setattr__(self, "affine", np.array(self.affine, dtype=float))
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    def __getstate__(self) -> dict[str, Any]:
        # A mapping proxy cannot be pickled, and scans cross to the engine's process.
        return {**self.__dict__, "facts": dict(self.facts)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, facts=MappingProxyType(state["facts"]))

    @property
    def grid(self) -> Grid:
        """Shape and affine."""
        return Grid(self.voxels.shape, self.affine)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of voxels, type, shape, affine and modality: the same for equal content."""
        digest = hashlib.sha256(f"{self.voxels.dtype}{self.voxels.shape}{self.modality}".encode())
        digest.update(np.ascontiguousarray(self.affine).tobytes())
        digest.update(np.ascontiguousarray(self.voxels).data)
        return digest.hexdigest()

    def with_modality(self, modality: str) -> Scan:
        """The same scan (same `id`) under another modality."""
        return replace(self, modality=modality)


@dataclass(frozen=True, eq=False)
class Study:
    """The scans of one patient at one time, at most one of each modality.

    Parameters
    ----------
    scans : in the order they were given; the first one's grid is the grid of results.
    facts : what is known of the patient: "age" in years, "sex" "F" or "M", ….
    """

    scans: tuple[Scan, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [scan.modality for scan in self.scans if scan.modality]
        twice = sorted({modality for modality in known if known.count(modality) > 1})
        if twice:
            raise UnusableStudy(
                f"two scans are both called {', '.join(twice)}; give each modality one scan"
            )

    def __iter__(self) -> Iterator[Scan]:
        return iter(self.scans)

    def __len__(self) -> int:
        return len(self.scans)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities of the scans, in their order."""
        return tuple(scan.modality for scan in self.scans)

    @property
    def reference(self) -> Scan:
        """The scan whose grid results are given on: the first one."""
        if not self.scans:
            raise UnusableStudy("the study has no scan; load one first")
        return self.scans[0]

    @cached_property
    def content_hash(self) -> str:
        """One hash for the scans' content, in their order."""
        joined = "".join(scan.content_hash for scan in self.scans)
        return hashlib.sha256(joined.encode()).hexdigest()

    def get(self, modality: str) -> Scan | None:
        """The scan of `modality`, or None."""
        return next((scan for scan in self.scans if scan.modality == modality), None)

    def with_scan(self, scan: Scan) -> Self:
        """A study with `scan` added, or put in place of the one with the same id."""
        if any(old.id == scan.id for old in self.scans):
            scans = tuple(scan if old.id == scan.id else old for old in self.scans)
        else:
            scans = (*self.scans, scan)
        return replace(self, scans=scans)

    def without(self, scan_id: str) -> Self:
        """A study without the scan of that id."""
        return replace(self, scans=tuple(s for s in self.scans if s.id != scan_id))
