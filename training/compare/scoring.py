"""What is asked of a model on a visit, and how well it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.stats import norm

from napari_medsyn.evaluation.fidelity import (
    SMALLEST_SLICE,
    Fidelity,
    coverage,
    fidelity,
    spread_against_error,
)
from training.compare.imputers import Imputed, Imputer, Volume
from training.data.grids import MODALITIES
from training.data.multimodal import Visit

#: Half the width of a Gaussian's central 90 %, in standard deviations.
HALF_90 = float(norm.ppf(0.95))
#: Voxels between a lesion and the end of its rim, and between it and the rim's beginning.
RIM, GAP = 4, 1
#: Lesions are compared where a slice has at least so many lesion voxels in all.
SMALLEST_LESIONS = 20


@dataclass(frozen=True, slots=True)
class Case:
    """What is given and what is asked for.

    Parameters
    ----------
    name : "others" (all that the visit has but the target) or the one modality given.
    """

    name: str
    present: tuple[str, ...]
    targets: tuple[str, ...]


def there(visit: Visit) -> list[str]:
    """The modalities of a visit."""
    return [m for m, p in zip(MODALITIES, visit.present.tolist(), strict=True) if p]


def cases(visit: Visit, singles: Sequence[str] = MODALITIES) -> list[Case]:
    """Each modality from the others, and all from T1 and from each of `singles` alone."""
    have = there(visit)
    found = [Case("others", tuple(m for m in have if m != t), (t,)) for t in have if len(have) > 1]
    for m in have:
        if len(have) > 1 and (m == "T1" or m in singles):
            found.append(Case(m, (m,), tuple(t for t in have if t != m)))
    return found


def scored_slices(visit: Visit, every: int) -> list[int]:
    """Axial slices with enough brain, one in `every`."""
    sizes = visit.mask.sum(dim=(1, 2)).numpy()
    return [int(k) for k in np.flatnonzero(sizes > SMALLEST_SLICE)[::every]]


def planes(visit: Visit, modality: str, slices: Sequence[int]) -> Volume:
    """(X, Y, n): slices of one scan, in normalised intensity."""
    found = visit.images[MODALITIES.index(modality)][list(slices)]
    return np.asarray(found.permute(1, 2, 0).float())


def brain(visit: Visit, slices: Sequence[int]) -> NDArray[np.bool_]:
    """(X, Y, n)."""
    return np.asarray(visit.mask[list(slices)].permute(1, 2, 0))


def fidelity_of(visit: Visit, target: str, made: Volume, slices: Sequence[int]) -> Fidelity:
    """PSNR and SSIM of the slices that a model made of a scan that was kept away."""
    return fidelity(planes(visit, target, slices), made, brain(visit, slices))


def rim_of(lesions: NDArray[np.bool_], flair: Volume, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(X, Y, n) bool: normal tissue around lesions.

    In the plane, more than `GAP` and at most `RIM` voxels from a lesion (nearer, a voxel
    may hold a part of one), and not fluid, which is darker than half the brain's median.

    Parameters
    ----------
    lesions, mask : (X, Y, n) bool, slices; `mask` is the brain.
    flair : (X, Y, n) the real scan.
    """
    cross = np.zeros((3, 3, 1), bool)
    cross[1, :, 0] = cross[:, 1, 0] = True
    near = binary_dilation(lesions, cross, GAP)
    reach = binary_dilation(lesions, cross, RIM)
    return reach & ~near & mask & (flair > np.median(flair[mask]) / 2)  # type: ignore[no-any-return]


def lesions_kept(
    real: Volume, imputed: Volume, lesions: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> float:
    """Contrast of lesions in the imputed FLAIR over that in the real one; 1 if all is kept.

    Contrast is the mean in the lesions minus the mean in their rim (`rim_of`), the same
    voxels in both.

    Parameters
    ----------
    real, imputed, lesions, mask : (X, Y, n) slices.
    """
    inside, rim = lesions & mask, rim_of(lesions & mask, real, mask)
    imputed_contrast, real_contrast = (v[inside].mean() - v[rim].mean() for v in (imputed, real))
    return float(imputed_contrast / real_contrast)


def score(
    visit: Visit, target: str, made: Imputed, slices: Sequence[int], scale: float
) -> dict[str, float | None]:
    """Figures of one imputed modality.

    Parameters
    ----------
    scale : calibrated factor of the standard deviation.

    Returns
    -------
    ``psnr``, ``ssim``; ``spearman`` of std and |error|, ``coverage`` of the calibrated
    90 % interval, ``scale`` with which it would be 90 %, if there is a std; ``lesions``,
    the contrast of lesions in the imputed FLAIR over that in the real one, if known.
    """
    real, mask, image = planes(visit, target, slices), brain(visit, slices), made.mean[target]
    quality = fidelity(real, image, mask)
    found: dict[str, float | None] = {"psnr": quality.psnr, "ssim": quality.ssim}
    if made.std is not None:
        error, std = image - real, made.std[target]
        ratio = np.abs(error[mask]) / np.maximum(std[mask], 1e-6)
        found["spearman"] = spread_against_error(std, error, mask)
        found["coverage"] = coverage(scale * std, error, mask)
        found["scale"] = float(np.quantile(ratio, 0.9)) / HALF_90
    if target == "FLAIR" and visit.lesions is not None:
        lesions = np.asarray(visit.lesions[list(slices)].permute(1, 2, 0))
        if (lesions & mask).sum() >= SMALLEST_LESIONS:
            found["lesions"] = lesions_kept(real, image, lesions, mask)
    return found


def rows_of(
    imputer: Imputer, visit: Visit, every: int, scale: float = 1.0
) -> list[dict[str, str | float | None]]:
    """Figures of every case and target of a visit, with their names."""
    slices = scored_slices(visit, every)
    rows: list[dict[str, str | float | None]] = []
    for case in cases(visit):
        made = imputer(visit, case.present, slices)
        for target in case.targets:
            if target not in made.mean:  # nobody was trained on who has both
                continue
            names = {"visit": visit.name, "person": visit.person, "given": case.name}
            figures = score(visit, target, made, slices, scale)
            rows.append({**names, "target": target, **figures})
    return rows
