"""How well lesions that were found agree with those that were drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.data.grids import MODALITIES
from training.data.multimodal import Visit

Mask = NDArray[np.bool_]
_TOUCHING = np.ones((3, 3, 3))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Found against drawn lesions.

    Parameters
    ----------
    dice : of voxels, 1 is best.
    dice_tolerant : the same, where a voxel within 1 voxel of the other mask is right.
    sensitivity : share of the drawn lesions that at least one found voxel touches.
    false_lesions : found lesions that share no voxel with a drawn one.
    drawn, found : numbers of lesions; voxels that touch, if only at a corner, are one.
    drawn_ml, found_ml : volumes.
    """

    dice: float
    dice_tolerant: float
    sensitivity: float
    false_lesions: int
    drawn: int
    found: int
    drawn_ml: float
    found_ml: float


def agreement(found: Mask, drawn: Mask, voxel_ml: float = 0.001) -> Agreement:
    """Compare two masks (X, Y, Z) of lesions.

    A lesion is found if any of its voxels is, as in the lesion-wise true positive rate of
    Carass et al. 2017, NeuroImage 148, 77-102.  Shares of nothing are NaN.
    """
    found, drawn = _cropped(found, drawn)
    drawn_labels, drawn_count = ndimage.label(drawn, _TOUCHING)
    found_labels, found_count = ndimage.label(found, _TOUCHING)
    hit = len(np.unique(drawn_labels[found & drawn]))
    right = len(np.unique(found_labels[found & drawn]))
    return Agreement(
        dice=overlap(found, drawn),
        dice_tolerant=tolerant_overlap(found, drawn),
        sensitivity=hit / drawn_count if drawn_count else float("nan"),
        false_lesions=found_count - right,
        drawn=drawn_count,
        found=found_count,
        drawn_ml=float(drawn.sum()) * voxel_ml,
        found_ml=float(found.sum()) * voxel_ml,
    )


def overlap(found: Mask, drawn: Mask) -> float:
    """Dice coefficient; NaN if both masks are empty."""
    size = int(found.sum()) + int(drawn.sum())
    return 2 * int((found & drawn).sum()) / size if size else float("nan")


def tolerant_overlap(found: Mask, drawn: Mask) -> float:
    """Dice coefficient where voxels within one voxel (6-neighbours) of the other mask count."""
    size = int(found.sum()) + int(drawn.sum())
    near_drawn, near_found = ndimage.binary_dilation(drawn), ndimage.binary_dilation(found)
    right = int((found & near_drawn).sum()) + int((drawn & near_found).sum())
    return right / size if size else float("nan")


def _cropped(found: Mask, drawn: Mask) -> tuple[Mask, Mask]:
    """Both masks without most of the empty voxels around them; one is left on each side."""
    both = ndimage.binary_dilation(found | drawn, _TOUCHING)
    boxes = ndimage.find_objects(both.astype(np.uint8))
    return (found[boxes[0]], drawn[boxes[0]]) if boxes else (found, drawn)


def volumes(visit: Visit, given: Sequence[str] = MODALITIES) -> dict[str, NDArray[np.float32]]:
    """The scans of a visit that are there and among `given`: (X, Y, Z), normalised."""
    return {
        name: np.ascontiguousarray(visit.images[m].float().numpy().transpose(1, 2, 0))
        for m, name in enumerate(MODALITIES)
        if visit.present[m] and name in given
    }


def drawn(visit: Visit) -> Mask:
    """(X, Y, Z): lesions of a visit.

    Raises
    ------
    ValueError : nobody has drawn them.
    """
    if visit.lesions is None:
        raise ValueError(f"{visit.name} has no mask of all lesions; choose another visit")
    return np.ascontiguousarray(visit.lesions.numpy().transpose(1, 2, 0))
