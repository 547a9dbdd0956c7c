"""Bias-field correction in the log domain, fast enough for hundreds of 2 mm volumes.

Intensities of a head are a few tissues' values times a smooth field.  The logarithms are
modelled as a mixture of normal distributions plus a field of few cosines; both are found
by expectation-maximisation (Van Leemput, Maes, Vandermeulen & Suetens 1999, "Automated
model-based bias field correction of MR images of the brain", IEEE Trans. Med. Imaging
18(10), 885-896).  Cosines take the place of their polynomials, and a penalty on the
field's bending keeps it from explaining anatomy, as in Ashburner & Friston 2005 ("Unified
segmentation", NeuroImage 26, 839-851).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.atomic import whole_file

Floats = NDArray[np.float64]

#: Cosines along X, Y and Z; on a brain of 140 × 175 × 140 mm waves of 70 to 90 mm and longer.
ORDER = (4, 5, 4)
#: Weight of the field's bending energy (half waves over the brain, to the fourth power).
PENALTY = 0.1
#: Every how manyth voxel along an axis is looked at.
STEP = 3
ITERATIONS = 10
CLASSES = 3
#: Variance of log intensity that no tissue goes below: 1 %, squared.
LEAST_VARIANCE = 1e-4


@dataclass(frozen=True, eq=False)
class BiasFields:
    """The fields of several volumes of one shape, as coefficients.

    Parameters
    ----------
    coefficients : (N, *ORDER) float32 of the cosines, in log intensity.
    brains : (N, X, Y, Z) bool; the cosines span the box around each.
    """

    coefficients: NDArray[np.float32]
    brains: NDArray[np.bool_]

    def field(self, index: int) -> NDArray[np.float32]:
        """(X, Y, Z) factor that the volume was multiplied by; 1 outside the brain's box."""
        brain = self.brains[index]
        box = _box(brain)
        bases = [_cosines(b.stop - b.start, k) for b, k in zip(box, ORDER, strict=True)]
        log_field = self.coefficients[index].astype(np.float64)
        for basis in bases:
            # Contracts the first axis and appends its voxels as the last: X, Y, Z in turn.
            log_field = np.tensordot(log_field, basis, axes=(0, 1))
        field = np.ones(brain.shape, np.float32)
        field[box] = np.exp(log_field)
        return field


def estimate(volume: NDArray[np.generic], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Coefficients of the log field of one volume.

    Parameters
    ----------
    volume : (X, Y, Z), intensity, not negative; 0 is nothing.
    brain : (X, Y, Z) bool, where to look.

    Returns
    -------
    `ORDER` float32; `BiasFields` turns them into a field.

    Raises
    ------
    ValueError
        Too few voxels are left to look at.
    """
    looked_at = np.zeros(volume.shape, bool)
    looked_at[::STEP, ::STEP, ::STEP] = True
    looked_at &= brain & (np.asarray(volume) != 0)
    where = np.nonzero(looked_at)
    if len(where[0]) < 10 * np.prod(ORDER):
        raise ValueError(f"{len(where[0])} voxels of brain are too few for a bias field")
    bases = [
        _cosines(b.stop - b.start, k)[i - b.start]
        for b, k, i in zip(_box(brain), ORDER, where, strict=True)
    ]
    # The constant is left to the tissues' means.
    design = np.einsum("ni,nj,nk->nijk", *bases).reshape(len(where[0]), -1)[:, 1:]
    values = np.log(np.asarray(volume[looked_at], np.float64))
    half_waves = np.indices(ORDER).reshape(3, -1)[:, 1:]
    bending = (half_waves**2).sum(axis=0) ** 2
    found = _fit(values, design, PENALTY * len(values) * np.diag(bending))
    return np.concatenate([[0.0], found]).reshape(ORDER).astype(np.float32)


def _box(brain: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box that holds the brain."""
    ends = (np.flatnonzero(brain.any(axis=axes))[[0, -1]] for axes in ((1, 2), (0, 2), (0, 1)))
    return tuple(slice(int(first), int(last) + 1) for first, last in ends)


def _cosines(size: int, count: int) -> Floats:
    """(size, count) cosines of 0, ½, 1, … waves over an axis (DCT-II)."""
    return np.cos(np.pi * np.outer((np.arange(size) + 0.5) / size, np.arange(count)))


def _fit(values: Floats, design: Floats, penalty: Floats) -> Floats:
    """Coefficients and tissues in turn (expectation-maximisation of Van Leemput et al. 1999)."""
    means = np.percentile(values, np.linspace(10, 85, CLASSES))
    variances = np.full(CLASSES, 0.02)
    shares = np.full(CLASSES, 1 / CLASSES)
    found = np.zeros(design.shape[1])
    for _ in range(ITERATIONS):
        rest = (values - design @ found)[:, None]
        log_odds = np.log(shares / np.sqrt(variances)) - (rest - means) ** 2 / (2 * variances)
        odds = np.exp(log_odds - log_odds.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        total = odds.sum(axis=0) + 1e-9
        means = (odds * rest).sum(axis=0) / total
        variances = (odds * (rest - means) ** 2).sum(axis=0) / total + LEAST_VARIANCE
        shares = total / len(values)
        weights = (odds / variances).sum(axis=1)
        expected = (odds * means / variances).sum(axis=1) / weights
        weighted = design.T * weights
        found = np.linalg.solve(weighted @ design + penalty, weighted @ (values - expected))
    return found


def estimate_all(
    volumes: NDArray[np.uint8], brains: NDArray[np.bool_], cache: Path
) -> NDArray[np.float32]:
    """Coefficients of many volumes; those made before are read from `cache`.

    Parameters
    ----------
    volumes, brains : (N, X, Y, Z) as for `estimate`.
    cache : folder; a small file for each volume is kept in its ``bias``, named by the hash of
        the volume, the brain and the settings, so that no field of other voxels is ever read.

    Returns
    -------
    (N, *ORDER) float32.

    Raises
    ------
    UnusableFile
        A file in `cache` is damaged.
    """
    found = [_estimate_once(v, b, cache / "bias") for v, b in zip(volumes, brains, strict=True)]
    return np.stack(found) if found else np.zeros((0, *ORDER), np.float32)


def _estimate_once(
    volume: NDArray[np.uint8], brain: NDArray[np.bool_], folder: Path
) -> NDArray[np.float32]:
    stored = folder / f"{_key(volume, brain)}.npy"
    if stored.exists():
        return _read(stored)
    found = estimate(volume, brain)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(stored, overwrite=True) as temporary:
        np.save(temporary, found, allow_pickle=False)
    return found


def _key(volume: NDArray[np.uint8], brain: NDArray[np.bool_]) -> str:
    settings = (ORDER, PENALTY, STEP, ITERATIONS, CLASSES, LEAST_VARIANCE, volume.shape)
    digest = hashlib.sha256(repr(settings).encode())
    digest.update(volume.tobytes())
    digest.update(np.packbits(brain).tobytes())
    return digest.hexdigest()[:32]


def _read(stored: Path) -> NDArray[np.float32]:
    try:
        with stored.open("rb") as file:
            found = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise UnusableFile(stored, f"a damaged cache ({error}); delete it") from error
    if found.shape != ORDER:
        raise UnusableFile(stored, f"a damaged cache (shape {found.shape}); delete it")
    return np.asarray(found, np.float32)
