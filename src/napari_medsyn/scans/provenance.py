"""How a synthetic scan came to be: the record, its sidecar file, its one-line label.

The record holds no path, no file name and nothing of the patient: sources are known
by the hash of their content.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from napari_medsyn.scans.atomic import whole_file
from napari_medsyn.scans.study import Scan

#: What every synthetic scan says of itself.
PURPOSE = "Research use; not for diagnosis"

#: Distributions whose version can change the voxels.
DISTRIBUTIONS = (
    "napari-medsyn", "torch", "monai", "numpy", "scipy", "SimpleITK", "nibabel", "pydicom",
)  # fmt: skip


def software_versions() -> dict[str, str]:
    """Versions of Python and of the installed distributions that can change a voxel."""
    return dict(_versions())


@cache
def _versions() -> Mapping[str, str]:
    # Milliseconds, at every move of a slider; nothing is installed while we run.
    versions = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@dataclass(frozen=True, slots=True)
class ProvenanceRecord:
    """All that is needed to make a synthetic scan again.

    Parameters
    ----------
    model : id of the model card.
    weights_sha256 : hash of the weights file.
    controls : control name to value; JSON-able.
    seed : seed of the noise; the same seed, model and sources give the same voxels.
    sources : modality to SHA-256 of the scan's content (`Scan.content_hash`).
    device : what it was computed on: "cpu", "cuda:0 NVIDIA …".
    steps : what preparation did, in order; JSON-able.
    software : distribution to version; those installed when not given.
    created : ISO 8601 time in UTC; now when not given.
    extra : further keys, written at the top level.
    """

    model: str
    weights_sha256: str
    controls: Mapping[str, Any]
    seed: int
    sources: Mapping[str, str]
    device: str
    steps: tuple[Mapping[str, Any], ...] = ()
    software: Mapping[str, str] = field(default_factory=software_versions)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The record as plain JSON values; its first two keys mark it as synthetic."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        mark = {"SYNTHETIC": True, "purpose": PURPOSE}
        # First for the eye, and last so that nothing can take it back.
        marked = {**mark, **own, **self.extra, **mark}
        plain: dict[str, Any] = json.loads(to_json(marked))
        return plain


def source_hashes(scans: Iterable[Scan]) -> dict[str, str]:
    """Modality (or "scan 2", …) to SHA-256 of content, in the scans' order."""
    return {
        scan.modality or f"scan {number}": scan.content_hash
        for number, scan in enumerate(scans, start=1)
    }


def label_text(provenance: Mapping[str, Any], modality: str = "") -> str:
    """One line for a corner of the screen, a picture or a header: "SYNTHETIC FLAIR · …"."""
    parts = [" ".join(("SYNTHETIC", modality)).strip()]
    if provenance.get("model"):
        parts.append(str(provenance["model"]))
    if "seed" in provenance:
        parts.append(f"seed {provenance['seed']}")
    return " · ".join([*parts, PURPOSE])


def sidecar_path(image: str | Path) -> Path:
    """The sidecar that belongs to an image: a.nii.gz → a.json."""
    image = Path(image)
    stem = image.name
    for ending in (".gz", ".nii", ".nrrd"):
        stem = stem.removesuffix(ending)
    return image.with_name(f"{stem}.json")


def write_sidecar(
    path: str | Path, provenance: Mapping[str, Any], *, overwrite: bool = False
) -> Path:
    """Write a provenance as indented JSON, whole or not at all; give its path.

    Parameters
    ----------
    path : a ".json" file, or the image that it belongs to (see `sidecar_path`).
    overwrite : whether an existing file may be replaced.

    Raises
    ------
    UnusableFile : the file exists, or its folder cannot be written to.
    """
    path = Path(path)
    if path.suffix.lower() != ".json":
        path = sidecar_path(path)
    text = to_json(provenance, indent=2) + "\n"
    with whole_file(path, overwrite=overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def to_json(value: Any, indent: int | None = None) -> str:
    """Strict ASCII JSON of `value`; numpy numbers and arrays, sets and tuples included."""
    return json.dumps(value, indent=indent, default=_plain, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a provenance cannot hold a {type(value).__name__}: {value!r}")
