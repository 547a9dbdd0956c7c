"""The scans of a study as preparation takes them: usable voxels, and the brain if it is cut out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableStudy
from napari_medsyn.scans.geometry import Affine, Grid
from napari_medsyn.scans.preparation.intensity import finite
from napari_medsyn.scans.study import Scan, Study

#: Names of labels that are no brain, even if they are called a mask.
PARTS = ("lesion", "tumor", "tumour", "plaque", "wmh", "change")


@dataclass(eq=False)
class Source:
    """One scan on its way to a model.

    Parameters
    ----------
    scan : as it was loaded.
    voxels : (X, Y, Z) finite, not negative, on the scan's own grid.
    support : (X, Y, Z) bool, the brain on the scan's own grid; None for a scan with a skull.
    from_reference : (4, 4) from the reference scan's world to this scan's, mm.
    """

    scan: Scan
    voxels: NDArray[Any]
    support: NDArray[np.bool_] | None = None
    from_reference: Affine = field(default_factory=lambda: np.eye(4))

    @property
    def grid(self) -> Grid:
        """The scan's own grid."""
        return self.scan.grid

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return self.scan.name or self.scan.modality or "the scan"


def sources_of(study: Study) -> tuple[list[Source], Scan | None]:
    """The images of `study`, and the scan among them that is a brain mask.

    Raises
    ------
    UnusableStudy : there is no image, or one is empty or constant.
    """
    images = [scan for scan in study if scan.modality != "label"]
    if not images:
        raise UnusableStudy("the study has no image; load a scan first")
    sources = [Source(scan, finite(scan.voxels)) for scan in images]
    for source in sources:
        if source.voxels.size == 0 or source.voxels.min() == source.voxels.max():
            raise UnusableStudy(f"{source.name}: the image is empty or constant; load another scan")
    label = study.get("label")
    return sources, label if label is not None and is_brain_mask(label) else None


def is_brain_mask(label: Scan) -> bool:
    """Whether a label's name says that it is the brain, not something in it."""
    name = label.name.lower()
    if any(word in name for word in PARTS):
        return False
    return "brain" in name or "mask" in name


def above_background(voxels: NDArray[Any]) -> NDArray[np.bool_]:
    """Voxels above 0, and those that they enclose."""
    from scipy import ndimage

    empty = voxels <= 0
    parts, count = ndimage.label(empty)
    reaches_out = np.zeros(count + 1, bool)
    for axis in range(3):
        for end in (0, -1):
            reaches_out[np.unique(np.take(parts, end, axis))] = True
    reaches_out[0] = False  # the voxels above 0
    filled: NDArray[np.bool_] = ~reaches_out[parts]
    return filled


def thinned(voxels: NDArray[Any], grid: Grid, spacing: float) -> tuple[NDArray[Any], Grid]:
    """Every so many voxels along each axis, about `spacing` mm apart, and their grid."""
    steps = [max(1, round(spacing / size)) for size in grid.spacing.tolist()]
    part = voxels[tuple(slice(None, None, step) for step in steps)]
    x, y, z = part.shape
    return part, Grid((x, y, z), grid.affine @ np.diag([*steps, 1.0]))
