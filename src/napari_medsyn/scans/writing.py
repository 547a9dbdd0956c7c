"""Scans to files: whole or not at all, never over a source, marked when synthetic."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.atomic import whole_file
from napari_medsyn.scans.study import Scan

#: Endings that `write_scan` understands.
ENDINGS = (".nii", ".nii.gz", ".nrrd")


def write_scan(
    scan: Scan,
    path: str | Path,
    *,
    overwrite: bool = False,
    protect: Iterable[Path] = (),
) -> Path:
    """Write a scan on its own grid, in its own voxel order; give the path.

    Parameters
    ----------
    scan : what to write; a synthetic one is marked in the file and carries
        ``facts["provenance"]``.
    path : file ending in .nii, .nii.gz or .nrrd; the ending chooses the format.
    overwrite : whether an existing file may be replaced.
    protect : files that must not be replaced even so, such as the sources of a result;
        the scan's own source always belongs to them.

    Raises
    ------
    UnusableFile : the ending is none of ours, the file exists, is a source, or cannot
        be written.
    """
    path = Path(path)
    name = path.name.lower()
    if not name.endswith(ENDINGS) or name in ENDINGS:
        raise UnusableFile(path, f"cannot be written: give it one of the endings {_listed()}")
    sources = [*protect, *([scan.source] if scan.source else [])]
    if path.exists() and any(source.exists() and path.samefile(source) for source in sources):
        raise UnusableFile(path, "cannot be written: a source scan was read from this file")
    with whole_file(path, overwrite=overwrite) as temporary:
        if name.endswith(".nrrd"):
            from napari_medsyn.scans.itk_images import write_nrrd

            write_nrrd(temporary, scan)
        else:
            from napari_medsyn.scans.nifti import write_nifti

            write_nifti(temporary, scan)
    return path


def _listed() -> str:
    return f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
