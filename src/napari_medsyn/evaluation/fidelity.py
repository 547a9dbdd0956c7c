"""Paired fidelity of an imputed scan, and the honesty of its uncertainty.

The protocol is MMHVAE's, slice by slice (Dorent et al., TPAMI 2025, evaluation), with
the usual two-dimensional SSIM in place of the released script's row-wise one: axial
slices, brain-masked, PSNR with the range of the reference slice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Volume = NDArray[np.floating]

#: Axial slices need more brain voxels than this to be scored.
SMALLEST_SLICE = 1500


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Means over the scored slices.

    Parameters
    ----------
    psnr : dB, higher is better.
    ssim : structural similarity, at most 1.
    slices : how many were scored.
    """

    psnr: float
    ssim: float
    slices: int


def fidelity(
    reference: Volume, imputed: Volume, mask: NDArray[np.bool_], smallest: int = SMALLEST_SLICE
) -> Fidelity:
    """PSNR and SSIM of `imputed` against `reference`, mean over axial slices.

    Parameters
    ----------
    reference, imputed : (X, Y, Z) in the same intensity, slices along the last axis.
    mask : (X, Y, Z) bool, brain; both images are set to 0 outside.
    smallest : slices need more brain voxels than this.

    Raises
    ------
    ValueError : no slice that was scanned has enough brain.
    """
    from skimage.metrics import structural_similarity

    psnr, ssim = [], []
    for k in np.flatnonzero(mask.sum(axis=(0, 1)) > smallest):
        inside = mask[:, :, k]
        wanted = np.where(inside, reference[:, :, k], 0).astype(np.float64)
        got = np.where(inside, imputed[:, :, k], 0).astype(np.float64)
        span = float(wanted.max() - wanted.min())
        if span == 0:  # nothing was scanned here
            continue
        error = float(np.mean((wanted - got) ** 2))
        psnr.append(10 * np.log10(span**2 / max(error, 1e-12)))
        ssim.append(structural_similarity(wanted, got, data_range=span))
    if not psnr:
        raise ValueError(f"no scanned axial slice has more than {smallest} brain voxels")
    return Fidelity(float(np.mean(psnr)), float(np.mean(ssim)), len(psnr))


def spread_against_error(
    std: Volume, error: Volume, mask: NDArray[np.bool_], most: int = 200_000
) -> float:
    """Spearman correlation of the standard deviation with |error| over brain voxels.

    At most `most` voxels, evenly spaced, are ranked.
    """
    from scipy.stats import spearmanr

    step = max(1, int(mask.sum()) // most)
    spread, size = std[mask][::step], np.abs(error[mask])[::step]
    return float(spearmanr(spread, size).statistic)


def coverage(std: Volume, error: Volume, mask: NDArray[np.bool_], level: float = 0.9) -> float:
    """Share of brain voxels whose |error| lies within the Gaussian interval of `level`."""
    from scipy.stats import norm

    half = float(norm.ppf(0.5 + level / 2))
    return float(np.mean(np.abs(error[mask]) <= half * std[mask]))
