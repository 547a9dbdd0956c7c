"""SynthSeg's label maps as anatomy in 3D: read, deformed, turned into tissue fractions.

What the sample patient, the template and the heads of the benchmarks are made of.  The
maps are Billot et al. 2023 (SynthSeg, Apache-2.0); see `training.mmhvae.simulate` for the
slice-wise simulator that the models are trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Volume = NDArray[np.float32]

#: Structures of the head outside the brain, by label; the fluid around the brain is 24.
BRAIN_FLUID = 24
OUTSIDE_BRAIN = (502, 506, 507, 508, 509, 511, 512, 514, 515, 516, 530)


@dataclass(frozen=True, eq=False)
class LabelMaps:
    """Whole heads as FreeSurfer labels on one 1 mm MNI grid.

    Parameters
    ----------
    codes : (N, X, Y, Z) uint8, index into `labels`.
    labels : (C,) FreeSurfer label of each code.
    affine : (4, 4) voxel index to MNI world, mm.
    """

    codes: NDArray[np.uint8]
    labels: NDArray[np.int64]
    affine: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.codes)

    def head(self, index: int) -> NDArray[np.int64]:
        """(X, Y, Z) FreeSurfer labels of one head."""
        return np.asarray(self.labels[self.codes[index]])


def load_label_maps(data: Path) -> LabelMaps:
    """The label maps of the shared data folder."""
    with np.load(data / "label_maps" / "synthseg_labels_mni1mm.npz") as z:
        codes = np.ascontiguousarray(z["codes_zyx"].transpose(0, 3, 2, 1))
        return LabelMaps(codes, z["code_to_freesurfer_label"], z["affine_xyz"])


def smooth_noise(
    shape: Sequence[int], width: float, rng: np.random.Generator, *, lengths: int = 3
) -> Volume:
    """Gaussian noise of zero mean and unit size, correlated over about `width` voxels.

    Parameters
    ----------
    shape : (X, Y, Z) of the result.
    width : standard deviation of the smoothing, voxels.
    lengths : the random lattice has one point for each `width / lengths` voxels.
    """
    step = max(width / lengths, 1.0)
    lattice = tuple(int(np.ceil(n / step)) + 1 for n in shape)
    noise = rng.standard_normal(lattice, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, width / step, mode="wrap")
    if step > 1.0:
        zoom = [n / m for n, m in zip(shape, lattice, strict=True)]
        noise = ndimage.zoom(noise, zoom, order=1, grid_mode=True, mode="nearest")
    noise = noise[tuple(slice(n) for n in shape)]
    noise = noise - noise.mean()
    return np.asarray(noise / noise.std(), dtype=np.float32)


def random_displacement(
    shape: Sequence[int], sizes: dict[float, float], rng: np.random.Generator
) -> Volume:
    """(3, X, Y, Z) smooth displacement in voxels; `sizes` maps width to strength, voxels."""
    field = np.zeros((3, *shape), np.float32)
    for width, strength in sizes.items():
        for axis in range(3):
            field[axis] += strength * smooth_noise(shape, width, rng)
    return field


def fractions(
    labels: NDArray[np.int64],
    groups: dict[str, tuple[int, ...]],
    displacement: Volume,
    *,
    sigma: float = 0.6,
) -> dict[str, Volume]:
    """Share of each group of labels in each voxel, deformed: partial volume included.

    Parameters
    ----------
    labels : (X, Y, Z) FreeSurfer labels.
    groups : name to labels; labels in no group are nobody's.
    displacement : (3, X, Y, Z) voxels, where the value of each voxel is taken from.
    sigma : smoothing of the labels' staircase, voxels.
    """
    where = np.indices(labels.shape, dtype=np.float32) + displacement
    out = {}
    for name, members in groups.items():
        share = np.isin(labels, members).astype(np.float32)
        share = ndimage.gaussian_filter(share, sigma)
        out[name] = ndimage.map_coordinates(share, where, order=1, mode="nearest")
    return out
