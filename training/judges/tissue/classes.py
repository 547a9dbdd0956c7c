"""The tissues that the judge tells apart, made of DLMUSE's anatomical labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Label of a voxel within the brain that belongs to no tissue: it is not learnt from.
UNLABELLED = 0


@dataclass(frozen=True, slots=True)
class Tissue:
    """One class: its code in label maps, key of its volume, name, DLMUSE labels."""

    code: int
    key: str
    name: str
    labels: tuple[int, ...]


#: Ventral diencephalon counts as brain stem, the optic chiasm as white matter.  Labels are
#: those of MUSE (Doshi et al. 2016, NeuroImage 127), odd numbers from 101 on: right cortex.
TISSUES = (
    Tissue(1, "white_matter", "Cerebral white matter", (69, *range(81, 96))),
    Tissue(2, "cortex", "Cerebral cortex", tuple(range(100, 208))),
    Tissue(
        3,
        "deep_grey",
        "Deep grey matter, hippocampus and amygdala",
        (23, 30, 31, 32, 36, 37, 47, 48, 55, 56, 57, 58, 59, 60, 75, 76),
    ),
    Tissue(4, "cerebellar_white", "Cerebellar white matter", (40, 41)),
    Tissue(5, "cerebellar_cortex", "Cerebellar cortex", (38, 39, 71, 72, 73)),
    Tissue(6, "brain_stem", "Brain stem", (35, 61, 62)),
    Tissue(7, "ventricles", "Ventricles", (4, 11, 49, 50, 51, 52)),
    Tissue(8, "external_fluid", "Fluid around the brain", (1, 46)),
)


def tissues_of(dlmuse: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tissue code of each voxel, `UNLABELLED` where DLMUSE has none; any shape."""
    table = np.full(256, UNLABELLED, np.uint8)
    for tissue in TISSUES:
        table[list(tissue.labels)] = tissue.code
    return table[dlmuse]
