"""The tissues that the judge tells apart: those of the simulator, deep grey matter in one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulator import tissues

#: Label of a voxel within the brain that belongs to no tissue: it is not learnt from.
UNLABELLED = 0


@dataclass(frozen=True, slots=True)
class Tissue:
    """One class.

    Parameters
    ----------
    code : in label maps.
    key : of its volume's reading.
    name : for people.
    labels : of DLMUSE.
    """

    code: int
    key: str
    name: str
    labels: tuple[int, ...]


def _tissue(code: int, key: str, name: str, *parts: str) -> Tissue:
    """The class made of the simulator's tissues of these names."""
    known = {tissue.name: tissue.dlmuse for tissue in tissues.TISSUES}
    return Tissue(code, key, name, tuple(sorted(x for part in parts for x in known[part])))


TISSUES = (
    _tissue(1, "white_matter", "Cerebral white matter", "white"),
    _tissue(2, "cortex", "Cerebral cortex", "cortex"),
    _tissue(
        3,
        "deep_grey",
        "Deep grey matter, hippocampus and amygdala",
        *("thalamus", "caudate", "putamen", "pallidum", "hippocampus"),
    ),
    _tissue(4, "cerebellar_white", "Cerebellar white matter", "cerebellar white"),
    _tissue(5, "cerebellar_cortex", "Cerebellar cortex", "cerebellar cortex"),
    _tissue(6, "brain_stem", "Brain stem", "stem"),
    _tissue(7, "ventricles", "Ventricles", "ventricle"),
    _tissue(8, "external_fluid", "Fluid around the brain", "fluid"),
)


def tissues_of(dlmuse: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tissue code of each voxel, `UNLABELLED` where DLMUSE has none; any shape."""
    table = np.full(256, UNLABELLED, np.uint8)
    for tissue in TISSUES:
        table[list(tissue.labels)] = tissue.code
    return table[dlmuse]
