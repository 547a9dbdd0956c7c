"""Anatomies to simulate from: tissue maps of many people in one set of codes.

SynthSeg's 20 label maps (FreeSurfer labels, 1 mm; Billot et al. 2023) and the healthy
people's DLMUSE labels (2 mm; labels of MUSE, Doshi et al. 2016, NeuroImage 127) become the
same tissues, with the signed distances by which sizes are steered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from training.data.grids import GRID_ORIGIN, GRID_SHAPE, to_model_grid
from training.data.healthy import load_healthy
from training.data.label_maps import load_label_maps
from training.data.splits import Part
from training.simulator.volumes import Field, Lattice


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

#: MNI's usual 2 mm grid, turned to RAS+.
GRID_2MM = Lattice((91, 109, 91), (-90.0, -126.0, -72.0), 2.0)
GRID_1MM = Lattice(GRID_SHAPE, GRID_ORIGIN, 1.0)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One person's tissues, in MNI space.

    Parameters
    ----------
    person : whose ("synthseg-01", "ixi-012").
    tissues : (X, Y, Z) uint8 codes of `TISSUES`.
    walls : (X, Y, Z) uint8 the same, with the ventricles filled by what lies nearest to them.
    lattice : of `tissues` and `walls`.
    distances : (2, …) mm to the ventricles' and to the brain's surface, negative inside.
    normals : (6, …) outward unit normals of both.
    """

    person: str
    tissues: Tensor
    walls: Tensor
    lattice: Lattice
    distances: Field
    normals: Field

    @classmethod
    def of(cls, person: str, tissues: NDArray[np.uint8], lattice: Lattice) -> Anatomy:
        """Measure the distances of a tissue map (X, Y, Z)."""
        step = round(2 / lattice.spacing)
        ventricle = _shares(tissues == CODE["ventricle"], step)
        brain = _shares((tissues > 0) & (tissues != CODE["fluid"]), step)
        distances = np.stack([signed_distance(share, 2.0) for share in (ventricle, brain)])
        half = lattice.spacing * (step - 1) / 2
        coarse = Lattice(
            distances.shape[1:],
            (lattice.origin[0] + half, lattice.origin[1] + half, lattice.origin[2] + half),
            2.0,
        )
        normals = np.concatenate([_normals(d)[:, ::2, ::2, ::2] for d in distances])
        wide = Lattice(normals.shape[1:], coarse.origin, 4.0)
        return cls(
            person,
            torch.from_numpy(np.ascontiguousarray(tissues)),
            torch.from_numpy(_walls(tissues)),
            lattice,
            Field(torch.from_numpy(distances), coarse),
            Field(torch.from_numpy(normals), wide),
        )


def load_anatomies(
    data: Path,
    *,
    parts: Sequence[Part] = ("train",),
    sources: Sequence[str] = ("synthseg", "ixi"),
    cache: Path | None = None,
) -> list[Anatomy]:
    """The anatomies of some people of the split.

    Parameters
    ----------
    data : the shared data folder or a packed file.
    sources : "synthseg" (1 mm) and "ixi" (2 mm).
    cache : of `load_healthy`.

    Raises
    ------
    UnusableFile
        A file is missing or damaged.
    """
    found = []
    if "synthseg" in sources:
        maps = load_label_maps(data, parts=parts)
        table = code_table("freesurfer", int(maps.labels.max()) + 1)
        for person, codes in zip(maps.ids, maps.codes, strict=True):
            tissues = to_model_grid(table[maps.labels[codes]], maps.affine)
            found.append(Anatomy.of(person, tissues, GRID_1MM))
    if "ixi" in sources:
        people = load_healthy(data, parts=parts, cache=cache)
        table = code_table("dlmuse", 256)
        for i, person in enumerate(people.ids):
            tissues = table[people.labels[i]]
            # DLMUSE leaves most of the fluid around the brain without a label.
            tissues[(tissues == 0) & people.brain[i]] = CODE["fluid"]
            found.append(Anatomy.of(person, tissues, GRID_2MM))
    return found


def code_table(scheme: str, size: int) -> NDArray[np.uint8]:
    """(size,) tissue code of each label of "freesurfer" or "dlmuse", 0 where there is none."""
    table = np.zeros(size, np.uint8)
    for tissue in TISSUES:
        labels = np.array(getattr(tissue, scheme))
        table[labels[labels < size]] = tissue.code
    return table


def signed_distance(share: NDArray[np.floating], spacing: float) -> NDArray[np.float32]:
    """(X, Y, Z) mm to the surface where `share` is one half, negative inside; smoothed."""
    inside = share > 0.5
    if not inside.any() or inside.all():
        raise ValueError("a structure that is nowhere or everywhere has no surface")
    outward = ndimage.distance_transform_edt(~inside) - 0.5
    inward = ndimage.distance_transform_edt(inside) - 0.5
    distance = np.where(inside, -inward, outward) * spacing
    return ndimage.gaussian_filter(distance.astype(np.float32), 0.5)  # type: ignore[no-any-return]


def _walls(tissues: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A tissue map whose ventricles are filled by the nearest other tissue."""
    inside = tissues == CODE["ventricle"]
    box = tuple(slice(max(0, int(a.min()) - 3), int(a.max()) + 4) for a in np.nonzero(inside))
    part = tissues[box]
    nearest = ndimage.distance_transform_edt(
        inside[box], return_distances=False, return_indices=True
    )
    filled = tissues.copy()
    filled[box] = part[tuple(nearest)]
    return filled


def _shares(mask: NDArray[np.bool_], step: int) -> NDArray[np.float32]:
    """Mean of blocks of `step` voxels along each axis."""
    if step == 1:
        return mask.astype(np.float32)
    x, y, z = (n // step for n in mask.shape)
    blocks = mask[: x * step, : y * step, : z * step].reshape(x, step, y, step, z, step)
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)  # type: ignore[no-any-return]


def _normals(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3, X, Y, Z) unit vectors along which a distance grows."""
    smooth = ndimage.gaussian_filter(distance, 1.0)
    gradient = np.stack(np.gradient(smooth))
    length = np.linalg.norm(gradient, axis=0, keepdims=True)
    return (gradient / np.maximum(length, 1e-3)).astype(np.float32)  # type: ignore[no-any-return]
