"""Lesions in many 2 mm brains that no scanner made, as the lesion judge reads them.

The judge works at 1 mm: crops are interpolated to its grid, which adds no detail, so that it
misses more than it does in scans of 1 mm.  Compare its readings of generated brains with those
of real ones that came the same way, not with figures from its card.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel
from napari_medsyn.evaluation.crops import LOW, SHAPE, Masks, Volumes, bfloat16_on, brains_of

if TYPE_CHECKING:
    from napari_medsyn.models.judges.lesions import LesionJudge

JUDGE: Final = "judge-lesions-mr"
#: World position of the first voxel of the 2 mm grid (MNI152, RAS+), mm, and its spacing.
ORIGIN: Final = (-90.5, -125.5, -71.5)
SPACING: Final = 2.0


def judge_lesions(
    volumes: Mapping[str, Volumes], brain: Masks | None = None, *, device: str = "cpu"
) -> NDArray[np.float32]:
    """(N,) lesion load that the judge reads in each of many crops, ml.

    Parameters
    ----------
    volumes : "T1", "T2", "FLAIR", … to (N, 80, 100, 84) float32, normalised intensity, 0
        outside the brain.
    brain : (N, 80, 100, 84) bool; where None, `crops.brains_of` the first of the volumes.
    device : "cpu" or "cuda…".

    Raises
    ------
    ValueError : there is no volume, or one is not a crop of that shape.
    UnusableModel : the judge is not installed.
    """
    if not volumes:
        raise ValueError("there is nothing to look for lesions in")
    for name, values in volumes.items():
        if values.ndim != 4 or values.shape[1:] != SHAPE:
            raise ValueError(f"{name} has the shape {values.shape}, not (N, 80, 100, 84)")
    judge = _judge(device)
    masks = brains_of(next(iter(volumes.values()))) if brain is None else brain
    voxel_ml = float(np.prod(judge.card.grid.grid().spacing)) / 1000
    loads = []
    for i, mask in enumerate(masks):
        inside = _at_one_mm(mask.astype(np.float32), judge) >= 0.5
        fine = {
            name: _at_one_mm(values[i] * mask, judge) * inside for name, values in volumes.items()
        }
        with bfloat16_on(device, exact=False):
            found = judge.segment(fine)
        loads.append(float((found & inside).sum()) * voxel_ml)
    return np.array(loads, np.float32)


@lru_cache(maxsize=2)
def _judge(device: str) -> LesionJudge:
    from napari_medsyn.models.families import load_judge
    from napari_medsyn.registry.catalogue import Catalogue

    entry = Catalogue().get(JUDGE, "judge")
    if entry.card is None:
        raise UnusableModel(f"{entry.package}: {JUDGE} has no card; get the package again")
    return cast("LesionJudge", load_judge(entry.package, entry.card, device))


def _at_one_mm(crop: NDArray[np.float32], judge: LesionJudge) -> NDArray[np.float32]:
    """A crop on the judge's grid, linearly; 0 beyond the crop."""
    from scipy.ndimage import affine_transform

    grid = judge.card.grid.grid()
    steps = np.diag(grid.affine)[:3] / SPACING
    first = (grid.affine[:3, 3] - np.array(ORIGIN)) / SPACING - np.array(LOW)
    fine: NDArray[np.float32] = affine_transform(
        crop, steps, first, output_shape=grid.shape, order=1, output=np.float32
    )
    return fine
