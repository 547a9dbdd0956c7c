"""What the benchmarks run on: a real study where there is one, a generated one elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_medsyn.scans.reading import read_scan
from napari_medsyn.scans.study import Scan, Study

#: Shape and affine of the common 1 mm MNI152 grid (stored from right to left).
SHAPE = (182, 218, 182)
AFFINE = np.array([[-1.0, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]])
MODALITIES = ("T1", "T1c", "T2", "FLAIR")


def study_of(data: Path, modalities: tuple[str, ...], folder: str = "ms/patient07") -> Study:
    """The scans of one visit of the shared data, or generated ones where it is absent."""
    visit = data / folder
    if not visit.is_dir():
        return generated_study(modalities)
    return Study(tuple(read_scan(visit / f"{m}.nii.gz").with_modality(m) for m in modalities))


def generated_study(modalities: tuple[str, ...], seed: int = 0) -> Study:
    """Smooth ellipsoids in place of brains: the same work for a network, no anatomy."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in SHAPE]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    inside = (x / 0.75) ** 2 + (y / 0.8) ** 2 + (z / 0.75) ** 2 < 1
    scans = []
    for modality in modalities:
        texture = gaussian_filter(rng.standard_normal(SHAPE, dtype=np.float32), 3)
        voxels = np.where(inside, 500 + 2000 * texture, 0).clip(0).astype(np.int16)
        scans.append(Scan(voxels, AFFINE, modality, name=f"generated {modality}"))
    return Study(tuple(scans))
