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
from training.simulator.anatomy import CODE, GRID_1MM, GRID_2MM, LESION, Anatomy, load_anatomies
from training.simulator.looks import Look, Looks
from training.simulator.painting import paint
from training.simulator.scanner import Scanner, scan, to_full_scale, uniform
from training.simulator.volumes import Lattice, lookup

#: Bounds of a slab's 99.5th percentile over its brain's, by modality.
BRIGHTER = ((0.88, 1.0), (0.55, 0.9), (0.85, 1.02), (0.85, 1.02))
#: Brain masks end this far (mm) outside the tissue, as brain extractions differ.
MARGIN_MM = (1.0, 6.0)
#: Moves (mm) of surfaces that are drawn where no size is asked for.
VENTRICLE_MOVES, BRAIN_MOVES = (-1.5, 4.0), (-0.5, 0.3)


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

        Raises
        ------
        ValueError
            `covariates` are not `n`, or there is no grid of this spacing.
        """
        if covariates is not None and len(covariates) != n:
            raise ValueError(f"{len(covariates)} covariates were given for {n} heads")
        grids = {2.0: GRID_2MM, 1.0: GRID_1MM}
        if spacing not in grids:
            raise ValueError(f"heads are made at 1 or 2 mm, not at {spacing} mm")
        heads = []
        for i in range(n):
            asked = covariates[i] if covariates else Covariates()
            heads.append(self._head(grids[spacing], asked, slab, scanner, look, generator))
        return _together(heads)

    def _head(
        self,
        grid: Lattice,
        asked: Covariates,
        slab: int | None,
        scanner: Scanner | None,
        look: Look | None,
        generator: torch.Generator,
    ) -> Simulated:
        chosen = int(torch.randint(len(self.anatomies), (), generator=generator))
        anatomy = self.anatomies[chosen]
        warp = deformation.random_warp(generator, strength=self.strength)
        middle = 0
        if slab is None:
            lattice = _box(grid)
        else:
            middle = _height(grid, slab, generator)
            lattice = grid.slices(middle - slab // 2, middle - slab // 2 + slab)
        asked = self._completed(asked, generator)
        tissues, brain = self._tissues(anatomy, warp, lattice, asked, slab is not None, generator)
        drawn = look or self.looks.draw(generator, self.width)
        images = paint(tissues, lattice, drawn, generator)
        images = scan(images, lattice, scanner or self.scanner, generator) * brain
        shares = torch.ones(len(MODALITIES))
        if slab is not None:
            shares = torch.tensor([uniform(limits, generator) for limits in BRIGHTER])
        images = to_full_scale(images, brain, shares, generator)
        measured = asked if slab is not None else measure(tissues, lattice, asked)
        if slab is None:
            images, tissues, brain = (_onto(x, lattice, grid) for x in (images, tissues, brain))
            lattice = grid
        return Simulated(
            images[None], tissues[None], brain[None], lattice, (measured,), (asked,),
            (anatomy.person,), torch.tensor([middle]),
        )  # fmt: skip

    def _completed(self, asked: Covariates, generator: torch.Generator) -> Covariates:
        if asked.lesion_ml is None:
            asked = replace(asked, lesion_ml=round(self.places.draw_load(generator), 3))
        return asked

    def _tissues(
        self,
        anatomy: Anatomy,
        warp: deformation.Warp,
        lattice: Lattice,
        asked: Covariates,
        is_slab: bool,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """(X, Y, Z) uint8 tissue codes with lesions, and (X, Y, Z) bool brain."""
        points = warp(lattice.points())
        distances = anatomy.distances.at(points)
        ventricles = uniform(VENTRICLE_MOVES, generator)
        if asked.ventricle_ml is not None and not is_slab:
            wanted = asked.ventricle_ml / lattice.voxel_ml
            ventricles = deformation.move_for_volume(distances[0], wanted)
        brain_move = uniform(BRAIN_MOVES, generator)
        if asked.thickness_mm is not None:
            brain_move = asked.thickness_mm - usual_thickness(anatomy)
        moves = deformation.Moves(ventricles, brain_move)
        origin = deformation.moved(anatomy, points, distances, moves)
        # Along normals the surface does not come to lie exactly: what it encloses decides.
        inside = distances[0] < ventricles
        tissues = lookup(anatomy.walls, anatomy.lattice, origin)
        tissues[inside] = CODE["ventricle"]
        margin = uniform(MARGIN_MM, generator)
        brain = (distances[1] < margin) & (tissues > 0)
        load = asked.lesion_ml or 0.0
        voxels = load / lattice.voxel_ml
        if is_slab:
            voxels *= self.places.expected_share(lattice)
        if voxels >= 1:
            score = self.places.score(origin, lattice, load, generator)
            tissues[lesions.grow(tissues, score, round(voxels))] = LESION
        return tissues * brain, brain


def measure(tissues: Tensor, lattice: Lattice, asked: Covariates) -> Covariates:
    """`asked` with the sizes that a finished tissue map really has."""
    ventricle = float((tissues == CODE["ventricle"]).sum()) * lattice.voxel_ml
    lesion = float((tissues == LESION).sum()) * lattice.voxel_ml
    return replace(
        asked,
        ventricle_ml=round(ventricle, 3),
        lesion_ml=round(lesion, 3),
        thickness_mm=round(thickness(tissues, lattice.spacing), 3),
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


def usual_thickness(anatomy: Anatomy) -> float:
    """Thickness of the cortex of an anatomy as it is, mm."""
    return thickness(anatomy.tissues, anatomy.lattice.spacing)


def _height(grid: Lattice, slab: int, generator: torch.Generator) -> int:
    """A random middle slice with brain in most heads: MNI z from -45 to 75 mm."""
    low, high = (round((z - grid.origin[2]) / grid.spacing) for z in (-45.0, 75.0))
    reach = slab // 2
    low, high = max(low, reach), min(high, grid.shape[2] - slab + reach)
    return int(torch.randint(low, high + 1, (), generator=generator))


def _box(grid: Lattice) -> Lattice:
    """The part of a grid that a head can reach, so that no time is spent on air."""
    low, high = (-80.0, -116.0, -72.0), (80.0, 84.0, 92.0)
    first = [max(0, round((a - o) / grid.spacing)) for a, o in zip(low, grid.origin, strict=True)]
    last = [
        min(n, round((b - o) / grid.spacing) + 1)
        for b, o, n in zip(high, grid.origin, grid.shape, strict=True)
    ]
    x, y, z = (b - a for a, b in zip(first, last, strict=True))
    origin = [o + grid.spacing * a for o, a in zip(grid.origin, first, strict=True)]
    return Lattice((x, y, z), (origin[0], origin[1], origin[2]), grid.spacing)


def _onto(values: Tensor, box: Lattice, grid: Lattice) -> Tensor:
    """Zeros on a grid, but for the values of a box of it."""
    out = torch.zeros(*values.shape[:-3], *grid.shape, dtype=values.dtype)
    first = [round((a - b) / grid.spacing) for a, b in zip(box.origin, grid.origin, strict=True)]
    place = tuple(slice(a, a + n) for a, n in zip(first, box.shape, strict=True))
    out[(..., *place)] = values
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
