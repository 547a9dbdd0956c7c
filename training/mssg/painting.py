"""Patients of multiple sclerosis out of healthy scans and real lesion masks.

A healthy T1 gets lesions where patients had them, within its white matter, and the look of
the cohort: tissue intensities as measured in the real patients' training scans
(`training/simulator/looks.json`) and the blur of their thick slices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float32]

#: Intensities of healthy T1s and what they are in the patients' scans: nothing, ventricles,
#: cortex, deep grey matter, white matter, the brightest.
LOOK = ((0.0, 0.35, 0.68, 0.85, 0.95, 1.2), (0.0, 0.355, 0.775, 0.868, 0.892, 1.03))
#: Blur across the patients' slices of 3 to 4 mm, standard deviation in 2 mm voxels.
SLICE_BLUR = 0.7
#: What a lesion adds to white matter in T1: the mean, and the spread between patients.
CHANGE = (-0.17, 0.04)
#: Blur of a lesion's mask, and the width of its edge, in 2 mm voxels and in score.
MASK_BLUR, EDGE = 0.7, 0.05
VOXEL_ML = 0.008


def looked(t1: Array) -> Array:
    """(X, Y, Z) a healthy T1 in the look of the patients' scans."""
    remapped = np.interp(t1, *LOOK).astype(np.float32)
    return ndimage.gaussian_filter1d(remapped, SLICE_BLUR, axis=2)  # type: ignore[no-any-return]


def lesion_score(masks: list[Array], rng: np.random.Generator) -> Array:
    """(X, Y, Z) how likely lesions are, from one patient's mask or two.

    Parameters
    ----------
    masks : shares of lesion, 0 to 1, on the 2 mm crop.
    """
    score = np.zeros(masks[0].shape, np.float32)
    for weight, mask in zip((1.0, 0.7), masks, strict=False):
        placed = mask[::-1] if rng.random() < 0.5 else mask
        moved = np.roll(placed, rng.integers(-1, 2, 3), axis=(0, 1, 2))
        score += weight * ndimage.gaussian_filter(moved, MASK_BLUR)
    noise = ndimage.gaussian_filter(rng.standard_normal(score.shape), 1.2)
    noisy: Array = (score + 0.04 * noise / noise.std()).astype(np.float32)
    return noisy


def lesion_share(score: Array, host: Array, load_ml: float) -> Array:
    """(X, Y, Z) share of lesion: the highest scores in `host` (0 to 1), `load_ml` in all.

    Faint shares are left out afterwards, so that it is less where the score is flat: what is
    recorded of a patient is measured on what was painted.
    """
    low, high = -2.0, 3.0
    for _ in range(30):
        middle = (low + high) / 2
        share = host / (1 + np.exp(np.clip((middle - score) / EDGE, -30, 30)))
        if float(share.sum()) * VOXEL_ML > load_ml:
            low = middle
        else:
            high = middle
    share[share < 0.05] = 0
    grown: Array = share.astype(np.float32)
    return grown


def painted(t1: Array, share: Array, rng: np.random.Generator) -> Array:
    """(X, Y, Z) a T1 with lesions in the look of the patients' scans."""
    change = rng.normal(*CHANGE)
    uneven = ndimage.gaussian_filter(rng.standard_normal(t1.shape), 4.0)
    uneven = 1 + 0.3 * uneven / uneven.std()
    added = change * np.clip(uneven, 0.3, 1.8) * share
    image: Array = (looked(t1) + added).clip(0, 1.5).astype(np.float32)
    return image
