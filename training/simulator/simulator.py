"""The simulator: anatomy, sizes, lesions, contrast and scanner put together.

Randomising the contrast follows Billot et al., "SynthSeg", Medical Image Analysis 86, 2023,
section 3; what is added is that the modalities are paired, that sizes and lesion load can be
asked for, and that everything that was drawn is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from training.data.grids import MODALITIES
from training.data.splits import Part
from training.simulator import deformation, lesions
from training.simulator.anatomy import GRID_1MM, GRID_2MM, Anatomy, load_anatomies
from training.simulator.covariates import Covariates, measure
from training.simulator.head import Head, make_head
from training.simulator.looks import Look, Looks
from training.simulator.painting import paint
from training.simulator.scanner import Scanner, scan, to_full_scale, uniform
from training.simulator.tissues import LESION
from training.simulator.volumes import Box, Lattice

#: Bounds of a slab's 99.5th percentile over its brain's, by modality.
BRIGHTER = ((0.88, 1.0), (0.55, 0.9), (0.85, 1.02), (0.85, 1.02))


@dataclass(frozen=True, eq=False)
class Simulated:
    """Simulated heads with everything that is true of them.

    Parameters
    ----------
    images : (N, 4, X, Y, Z) float32, T1, T1c, T2, FLAIR in normalised intensity.
    tissues : (N, X, Y, Z) uint8, codes of `anatomy.TISSUES`; `anatomy.LESION` for lesions.
    brain : (N, X, Y, Z) bool, outside of which the images are 0.
    lattice : of all of them; for slabs that of the first one.
    covariates : (N,) as measured on `tissues`; volumes are None for slabs.
    asked : (N,) as asked for or drawn.
    anatomies : (N,) whose anatomy each was made from.
    slices : (N,) index of each slab's middle slice on the grid; zeros for whole heads.
    """

    images: Tensor
    tissues: Tensor
    brain: Tensor
    lattice: Lattice
    covariates: tuple[Covariates, ...]
    asked: tuple[Covariates, ...]
    anatomies: tuple[str, ...]
    slices: Tensor

    @property
    def lesions(self) -> Tensor:
        """(N, X, Y, Z) bool."""
        return self.tissues == LESION


class Simulator:
    """Makes paired multi-contrast brains of the people of some parts of the split.

    Parameters
    ----------
    data : the shared data folder or a packed file.
    sources : of anatomy: "synthseg" (1 mm) and "ixi" (2 mm).
    width : how far contrasts are drawn around what was measured, 0 to 1.
    strength : of the random change of shape, 0 to 1.
    """

    def __init__(
        self,
        data: Path,
        *,
        parts: Sequence[Part] = ("train",),
        sources: Sequence[str] = ("synthseg", "ixi"),
        width: float = 1.0,
        strength: float = 1.0,
        scanner: Scanner | None = None,
        looks: Looks | None = None,
        cache: Path | None = None,
    ) -> None:
        self.anatomies = load_anatomies(data, parts=parts, sources=sources, cache=cache)
        self.places = lesions.LesionPlaces(data, parts)
        self.looks = looks or Looks.load()
        self.width, self.strength = width, strength
        self.scanner = scanner or Scanner()

    def draw(
        self,
        n: int,
        generator: torch.Generator,
        *,
        spacing: float = 2.0,
        covariates: Sequence[Covariates] | None = None,
        slab: int | None = None,
        scanner: Scanner | None = None,
        look: Look | None = None,
        anatomies: Sequence[int] | None = None,
    ) -> Simulated:
        """Simulate heads, or slabs of heads.

        Parameters
        ----------
        n : how many.
        spacing : 2.0 (91 x 109 x 91) or 1.0 (160 x 192 x 160) mm, both RAS+ in MNI space.
        covariates : what is asked for, one for each; what is None in them is drawn: sizes
            around the anatomy's own, the load as patients have it.
        slab : number of neighbouring axial slices, at random heights; whole heads if None.
        scanner, look : of one cohort, instead of the simulator's own and of drawn ones.

        anatomies : which of `usable` each is made from; by chance where None.

        Raises
        ------
        ValueError
            `covariates` or `anatomies` are not `n`, or there is no grid of this spacing.
        """
        if covariates is not None and len(covariates) != n:
            raise ValueError(f"{len(covariates)} covariates were given for {n} heads")
        grids = {2.0: GRID_2MM, 1.0: GRID_1MM}
        if spacing not in grids:
            raise ValueError(f"heads are made at 1 or 2 mm, not at {spacing} mm")
        usable = self.usable(spacing)
        if anatomies is None:
            anatomies = torch.randint(len(usable), (n,), generator=generator).tolist()
        if len(anatomies) != n:
            raise ValueError(f"{len(anatomies)} anatomies were given for {n} heads")
        heads = []
        for i in range(n):
            asked = covariates[i] if covariates else Covariates()
            anatomy = usable[anatomies[i]]
            heads.append(self._head(anatomy, grids[spacing], asked, slab, scanner, look, generator))
        return _together(heads)

    def _head(
        self,
        anatomy: Anatomy,
        grid: Lattice,
        asked: Covariates,
        slab: int | None,
        scanner: Scanner | None,
        look: Look | None,
        generator: torch.Generator,
    ) -> Simulated:
        middle, lattice = 0, grid
        if slab is not None:
            middle = _height(grid, slab, generator)
            lattice = grid.slices(middle - slab // 2, middle - slab // 2 + slab)
        if asked.lesion_ml is None:
            asked = replace(asked, lesion_ml=round(self.places.draw_load(generator), 3))
        warp = deformation.random_warp(generator, strength=self.strength)
        head = make_head(anatomy, warp, lattice, asked, generator, steered=slab is None)
        self._grow_lesions(head, asked.lesion_ml or 0.0, generator, share=slab is not None)
        drawn = look or self.looks.draw(generator, self.width)
        brain = head.tissues > 0
        images = paint(head.tissues, head.lattice, drawn, generator)
        images = scan(images, head.lattice, scanner or self.scanner, generator)
        shares = torch.ones(len(MODALITIES))
        if slab is not None:
            shares = torch.tensor([uniform(limits, generator) for limits in BRIGHTER])
        images = to_full_scale(images, brain, shares, generator)
        if slab is None:
            measured = measure(head.tissues, grid.spacing, asked)
        else:
            measured = replace(asked, ventricle_ml=None, lesion_ml=None, thickness_mm=None)
        images, tissues, brain = (
            _onto(x, lattice.shape, head.box) for x in (images, head.tissues, brain)
        )
        return Simulated(
            images[None], tissues[None], brain[None], lattice, (measured,), (asked,),
            (anatomy.person,), torch.tensor([middle]),
        )  # fmt: skip

    def usable(self, spacing: float) -> Sequence[Anatomy]:
        """The anatomies that are fine enough for a grid, or all where none is."""
        fine = [a for a in self.anatomies if a.lattice.spacing <= spacing]
        return fine or self.anatomies

    def _grow_lesions(
        self, head: Head, load_ml: float, generator: torch.Generator, *, share: bool
    ) -> None:
        """Turn white matter of a head into lesions; `share`: its part of the whole load only."""
        voxels = load_ml / head.lattice.voxel_ml
        if share:
            voxels *= self.places.expected_share(head.lattice)
        if round(voxels) < 1:
            return
        flat = head.tissues.view(-1)
        inside = lesions.hosts(flat[head.voxels])
        voxels_there = head.voxels[inside]
        noise = lesions.score_noise(head.lattice, generator).view(-1)[voxels_there]
        score = self.places.score(head.origins[inside], noise, load_ml, generator)
        flat[voxels_there[lesions.grow(score, round(voxels))]] = LESION


def _height(grid: Lattice, slab: int, generator: torch.Generator) -> int:
    """A random middle slice with brain in most heads: MNI z from -45 to 75 mm."""
    low, high = (round((z - grid.origin[2]) / grid.spacing) for z in (-45.0, 75.0))
    reach = slab // 2
    low, high = max(low, reach), min(high, grid.shape[2] - slab + reach)
    return int(torch.randint(low, high + 1, (), generator=generator))


def _onto(values: Tensor, shape: tuple[int, int, int], box: Box) -> Tensor:
    """(…, *shape) zeros, but for the values of a box."""
    out = torch.zeros(*values.shape[:-3], *shape, dtype=values.dtype)
    out[(..., *box)] = values
    return out


def _together(heads: Sequence[Simulated]) -> Simulated:
    return Simulated(
        torch.cat([h.images for h in heads]),
        torch.cat([h.tissues for h in heads]),
        torch.cat([h.brain for h in heads]),
        heads[0].lattice,
        tuple(h.covariates[0] for h in heads),
        tuple(h.asked[0] for h in heads),
        tuple(h.anatomies[0] for h in heads),
        torch.cat([h.slices for h in heads]),
    )
