"""The tissues that brains are made of here, and which labels of other schemes belong to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tissue:
    """One kind of tissue: its code in tissue maps, and the labels that belong to it."""

    code: int
    name: str
    freesurfer: tuple[int, ...]
    dlmuse: tuple[int, ...]


#: Codes are places in this table, 0 is background.  Lesions that SynthSeg's maps have (25,
#: 57) are white matter here: the load is chosen.  The ventral diencephalon is brain stem.
TISSUES = (
    Tissue(1, "white", (2, 41, 85, 25, 57, 30, 62), (69, *range(81, 96))),
    Tissue(2, "cortex", (3, 42, 136, 137, 163, 164), tuple(range(100, 208))),
    Tissue(3, "cerebellar white", (7, 46), (40, 41)),
    Tissue(4, "cerebellar cortex", (8, 47), (38, 39, 71, 72, 73)),
    Tissue(5, "thalamus", (10, 49), (59, 60)),
    Tissue(6, "caudate", (11, 50, 26, 58), (36, 37, 23, 30, 75, 76)),
    Tissue(7, "putamen", (12, 51), (57, 58)),
    Tissue(8, "pallidum", (13, 52), (55, 56)),
    Tissue(9, "hippocampus", (17, 53, 18, 54), (47, 48, 31, 32)),
    Tissue(10, "stem", (16, 28, 60), (35, 61, 62)),
    Tissue(11, "ventricle", (4, 5, 14, 15, 43, 44, 72), (4, 11, 49, 50, 51, 52)),
    Tissue(12, "fluid", (24,), (1, 46)),
)
NAMES = tuple(tissue.name for tissue in TISSUES)
CODE = {tissue.name: tissue.code for tissue in TISSUES}
#: Finished maps have one more code than anatomies.
LESION = len(TISSUES) + 1


def code_table(scheme: str, size: int) -> NDArray[np.uint8]:
    """(size,) tissue code of each label of "freesurfer" or "dlmuse", 0 where there is none."""
    table = np.zeros(size, np.uint8)
    for tissue in TISSUES:
        labels = np.array(getattr(tissue, scheme))
        table[labels[labels < size]] = tissue.code
    return table
