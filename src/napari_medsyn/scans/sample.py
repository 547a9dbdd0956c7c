"""The synthetic sample patient that ships with the plugin."""

from __future__ import annotations

from dataclasses import replace

from napari_medsyn import resources
from napari_medsyn.scans.reading import read_scan
from napari_medsyn.scans.study import Study

#: File name without its ending, and the modality that it holds.
FILES = {"T1": "T1", "T2": "T2", "lesion": "label"}


def sample_study() -> Study:
    """A person with multiple sclerosis who does not exist: T1, T2 and a lesion mask.

    T1c and FLAIR are missing.  All three lie on one grid of 1 mm in MNI152 space and
    are cut out of the skull, so nothing has to be registered.

    Raises
    ------
    UnusableFile : the installation lacks the files, or they are damaged.
    """
    folder = resources.folder() / "sample"
    scans = []
    for stem, modality in FILES.items():
        scan = read_scan(folder / f"{stem}.nii.gz").with_modality(modality)
        scans.append(replace(scan, name=f"sample_{stem}"))
    return Study(tuple(scans))
