"""What is known of a simulated person, and how it is measured on a tissue map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from training.simulator.tissues import CODE, LESION

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Covariates:
    """What is known of a simulated person; None where it was not asked for and not drawn.

    Parameters
    ----------
    age : years.
    sex : "F" or "M".
    ventricle_ml : ventricles in MNI space, ml.
    thickness_mm : volume of the cortex over the area of its inner surface, mm.
    head_ml : intracranial volume of the head itself, ml; it is normalised away in MNI space.
    lesion_ml : white-matter lesions, ml.
    cohort : name of the source.
    """

    age: float | None = None
    sex: str | None = None
    ventricle_ml: float | None = None
    thickness_mm: float | None = None
    head_ml: float | None = None
    lesion_ml: float | None = None
    cohort: str | None = None


def measure(tissues: Tensor, spacing: float, asked: Covariates) -> Covariates:
    """`asked` with the sizes that a finished tissue map really has."""
    ventricle = float((tissues == CODE["ventricle"]).sum()) * spacing**3 / 1000
    lesion = float((tissues == LESION).sum()) * spacing**3 / 1000
    return replace(
        asked,
        ventricle_ml=round(ventricle, 3),
        lesion_ml=round(lesion, 3),
        thickness_mm=round(thickness(tissues, spacing), 3),
    )


def thickness(tissues: Tensor, spacing: float) -> float:
    """Volume of the cortex over the area of its border with white matter, mm.

    The area is that of the voxel faces times 2/3, the mean ratio of a surface to its
    staircase over all directions.  Coarse voxels lose folds, so this is not FreeSurfer's
    thickness: compare it at one spacing only.
    """
    cortex = tissues == CODE["cortex"]
    white = (tissues == CODE["white"]) | (tissues == LESION)
    faces = 0
    for axis in range(3):
        length = tissues.shape[axis] - 1
        a, b = (x.narrow(axis, 0, length) for x in (cortex, white))
        c, d = (x.narrow(axis, 1, length) for x in (cortex, white))
        faces += int((a & d).sum()) + int((b & c).sum())
    return float(cortex.sum()) * spacing / max(faces * 2 / 3, 1.0)
