"""White-matter lesion masks of 28 patients with multiple sclerosis, with age and sex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.sources import open_source
from training.data.splits import PARTS, Part, people


@dataclass(frozen=True, eq=False)
class LesionMasks:
    """All lesions of some patients on MNI's 1 mm grid, RAS+.

    Parameters
    ----------
    person : (N,) whose each is ("ms-01"); "ms-07" is also the visit of that name.
    age : (N,) float32, years.
    sex : (N,) "F" or "M".
    volume_ml : (N,) float32, volume of the mask on this grid, ml: 1.3 to 1.7 times that in
        the head itself, since the grid is affine to MNI.
    masks : (N, 182, 218, 182) bool.  Place is approximate for all but "ms-07".
    affine : (4, 4) voxel index to MNI world, mm.
    """

    person: tuple[str, ...]
    age: NDArray[np.float32]
    sex: NDArray[np.str_]
    volume_ml: NDArray[np.float32]
    masks: NDArray[np.bool_]
    affine: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.person)


def load_lesion_masks(data: Path, *, parts: Sequence[Part] = PARTS) -> LesionMasks:
    """The lesion masks of the people in `parts`.

    Parameters
    ----------
    data : the shared data folder or a packed file.
    parts : of the committed splits.

    Raises
    ------
    UnusableFile
        A file is missing or damaged.
    """
    arrays = open_source(data).record("lesions", people("ms", *parts))
    return LesionMasks(
        tuple(arrays["people"].tolist()),
        arrays["age"],
        arrays["sex"],
        arrays["volume_ml"],
        arrays["masks"],
        arrays["affine"],
    )
