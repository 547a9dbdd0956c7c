"""Anatomies to simulate from: tissue maps of many people in one set of codes.

SynthSeg's 20 label maps (FreeSurfer labels, 1 mm; Billot et al. 2023) and the healthy
people's DLMUSE labels (2 mm; labels of MUSE, Doshi et al. 2016, NeuroImage 127) become the
same tissues, with the signed distances by which sizes are steered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
from training.simulator.covariates import thickness
from training.simulator.tissues import CODE, code_table
from training.simulator.tissues import TISSUES as TISSUES  # others look for the table here
from training.simulator.volumes import Field, Lattice

#: MNI's usual 2 mm grid, turned to RAS+.
GRID_2MM = Lattice((91, 109, 91), (-90.0, -126.0, -72.0), 2.0)
GRID_1MM = Lattice(GRID_SHAPE, GRID_ORIGIN, 1.0)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One person's tissues, in MNI space; what is derived is made when first asked for.

    Parameters
    ----------
    person : whose ("synthseg-01", "ixi-012").
    tissues : (X, Y, Z) uint8 codes of `TISSUES`.
    lattice : of `tissues` and of `walls`.
    """

    person: str
    tissues: Tensor
    lattice: Lattice

    @cached_property
    def walls(self) -> Tensor:
        """(X, Y, Z) uint8 `tissues`, with the ventricles filled by what lies nearest to them."""
        return torch.from_numpy(_walls(self.tissues.numpy()))

    @cached_property
    def distances(self) -> Field:
        """(2, …) mm to the ventricles' and to the brain's surface, negative inside; at 2 mm."""
        tissues = self.tissues.numpy()
        brain = (tissues > 0) & (tissues != CODE["fluid"])
        step = round(2 / self.lattice.spacing)
        shares = (_shares(mask, step) for mask in (tissues == CODE["ventricle"], brain))
        values = np.stack([signed_distance(share, 2.0) for share in shares])
        x, y, z = (o + self.lattice.spacing * (step - 1) / 2 for o in self.lattice.origin)
        return Field(torch.from_numpy(values), Lattice(values.shape[1:], (x, y, z), 2.0))

    @cached_property
    def normals(self) -> Field:
        """(6, …) outward unit normals of both surfaces; at 4 mm."""
        distances, lattice = self.distances.values.numpy(), self.distances.lattice
        normals = np.concatenate([_normals(distance)[:, ::2, ::2, ::2] for distance in distances])
        wide = Lattice(normals.shape[1:], lattice.origin, 2 * lattice.spacing)
        return Field(torch.from_numpy(normals), wide)

    def thickness(self, spacing: float) -> float:
        """How thick the cortex is as it stands, mm, on a grid of this spacing; remembered."""
        if spacing not in self._thickness:
            every = round(spacing / self.lattice.spacing)
            tissues = self.tissues[::every, ::every, ::every]
            self._thickness[spacing] = thickness(tissues, spacing)
        return self._thickness[spacing]

    @cached_property
    def _thickness(self) -> dict[float, float]:
        return {}


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
            found.append(Anatomy(person, torch.from_numpy(tissues), GRID_1MM))
    if "ixi" in sources:
        people = load_healthy(data, parts=parts, cache=cache)
        table = code_table("dlmuse", 256)
        for i, person in enumerate(people.ids):
            tissues = table[people.labels[i]]
            # DLMUSE leaves most of the fluid around the brain without a label.
            tissues[(tissues == 0) & people.brain[i]] = CODE["fluid"]
            found.append(Anatomy(person, torch.from_numpy(tissues), GRID_2MM))
    return found


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
