"""Sweeps to files: one 4D NIfTI for each output, the steps along its last axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_medsyn.exploration.requests import Finished
from napari_medsyn.exploration.saving import SIDECAR, Existing, publish, result_scan
from napari_medsyn.exploration.swept import Swept, shown
from napari_medsyn.registry.packages import sha256_of
from napari_medsyn.scans.provenance import PURPOSE, write_sidecar

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

#: Bytes that a NIfTI header has for the description, with its closing zero.
_DESCRIPTION: Final = 80


def save_sweep(
    swept: Swept,
    folder: Path,
    *,
    existing: Existing = "number",
    protect: Iterable[Path] = (),
) -> list[Path]:
    """Write every output as a 4D file, and `provenance.json`, into `folder`: all or none.

    The header's description names what the last axis is; where the values are evenly spaced,
    its spacing and offset are theirs.  Marked SYNTHETIC as a single result is.

    Parameters
    ----------
    swept : a finished sweep.
    folder, existing, protect : as for `saving.save_results`.

    Returns
    -------
    The files, the provenance last.

    Raises
    ------
    UnusableFile : the folder or a file cannot be written; what was begun is taken back.
    """

    def write(draft: Path, names: Mapping[str, str]) -> None:
        files = {}
        for name in swept.arrays:
            _write(swept, name, draft / names[name])
            files[names[name]] = sha256_of(draft / names[name])
        write_sidecar(draft / names[SIDECAR], {**swept.provenance, "files": files})

    return publish(tuple(swept.arrays), Path(folder), existing, protect, write)


def _write(swept: Swept, name: str, path: Path) -> None:
    """One output; geometry, marks and provenance are those of a single step's file."""
    import nibabel

    from napari_medsyn.scans.writing import write_scan

    steps = swept.arrays[name]
    first = Finished(0, {name: steps[0]}, swept.provenance)
    single = write_scan(result_scan(first, name, swept.reference), path.with_name("single.nii"))
    image = nibabel.load(single)
    header: Any = image.header.copy()
    kind: Any = type(image)
    volume = kind(np.moveaxis(steps, 0, -1), None, header)
    _name_axis(volume.header, swept)
    nibabel.save(volume, path)
    single.unlink()


def _name_axis(header: Nifti1Header, swept: Swept) -> None:
    """Say what the fourth axis is, as far as a header can."""
    # The first value with the name, the last with the unit: there is room for little more.
    first = f"{swept.label} {shown(swept.values[0])}"
    last = f"{shown(swept.values[-1])} {swept.unit}"
    said = f"SYNTHETIC | {PURPOSE} | axis 4: {first} to {last}".rstrip()
    header["descrip"] = said.encode("ascii", "replace")[: _DESCRIPTION - 1]
    start, step = _even(swept.values)
    header["toffset"] = start
    header["pixdim"][4] = step


def _even(values: tuple[Any, ...]) -> tuple[float, float]:
    """First value and spacing of evenly spaced numbers that grow; 0 and 1 for others."""
    if any(not isinstance(value, int | float) for value in values):
        return 0.0, 1.0
    steps = np.diff(np.array(values, float))
    if steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-6, atol=0):
        return 0.0, 1.0
    return float(values[0]), float(steps[0])
