"""One new head: an anatomy, deformed until it has the sizes that are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.simulator.anatomy import Anatomy
from training.simulator.covariates import Covariates, thickness
from training.simulator.deformation import Moves, Surroundings, move_for_volume
from training.simulator.scanner import uniform
from training.simulator.tissues import CODE
from training.simulator.volumes import Box, Field, Lattice, lookup

#: Brain masks end this far (mm) outside the tissue, as brain extractions differ.
MARGIN_MM = (1.0, 6.0)
#: Moves (mm) of surfaces that are drawn where no size is asked for.
VENTRICLE_MOVES, BRAIN_MOVES = (-1.5, 4.0), (-0.5, 0.3)
#: Where the brain may be is looked for at every second voxel, with this much to spare, mm
#: for each mm of spacing.
SPARE = 3.0
#: How often the cortex is thinned or thickened by what it is still off.
CORTEX_STEPS = 3


@dataclass(frozen=True, eq=False)
class Head:
    """The tissues of a new head, and where they come from.

    Parameters
    ----------
    tissues : (X, Y, Z) uint8 codes, 0 outside the brain mask.
    lattice : of `tissues`, cut to the brain.
    box : the place of `lattice` in the one that was asked for.
    voxels : (N,) flat indices in `tissues` of the voxels within the brain mask.
    origins : (N, 3) where in the anatomy each comes from, mm.
    """

    tissues: Tensor
    lattice: Lattice
    box: Box
    voxels: Tensor
    origins: Tensor


def make_head(
    anatomy: Anatomy,
    warp: Field,
    lattice: Lattice,
    asked: Covariates,
    generator: torch.Generator,
    *,
    steered: bool = True,
) -> Head:
    """A head with the ventricles and the cortex that are asked for.

    Parameters
    ----------
    warp : as of `deformation.random_warp`.
    lattice : of the head, or of a slab of it.
    asked : what is None is drawn around the anatomy's own.
    steered : sizes are met; they cannot be where only a slab of the head is seen, and are
        drawn there whatever is asked for.
    """
    margin = uniform(MARGIN_MM, generator)
    ventricle_move = uniform(VENTRICLE_MOVES, generator)
    brain_move = uniform(BRAIN_MOVES, generator)
    close = _where_brain_may_be(anatomy, warp, lattice, margin)
    box = _box_around(close)
    lattice = lattice.part(box)
    voxels = close[box].flatten().nonzero()[:, 0]
    points = warp.on(lattice).flatten(1)[:, voxels].T
    distances = anatomy.distances.at(points)
    within = (distances[1] < margin).nonzero()[:, 0]
    voxels, points, distances = voxels[within], points[within], distances[:, within]
    if steered and asked.ventricle_ml is not None:
        ventricle_move = move_for_volume(distances[0], asked.ventricle_ml / lattice.voxel_ml)
    if steered and asked.thickness_mm is not None:
        brain_move = 0.0
    surroundings = Surroundings(points, distances, anatomy.normals.at(points))
    origins = surroundings.origins(Moves(ventricle_move, brain_move))
    found = lookup(anatomy.walls, anatomy.lattice, origins)
    # Along normals the surface does not come to lie exactly: what it encloses decides.
    found[distances[0] < ventricle_move] = CODE["ventricle"]
    tissues = torch.zeros(lattice.shape, dtype=torch.uint8)
    tissues.view(-1)[voxels] = found
    if steered and asked.thickness_mm is not None:
        _fit_cortex(tissues, voxels, distances[1], lattice.spacing, asked.thickness_mm)
    present = (found > 0).nonzero()[:, 0]
    return Head(tissues, lattice, box, voxels[present], origins[present])


def _fit_cortex(
    tissues: Tensor, voxels: Tensor, depth: Tensor, spacing: float, wanted: float
) -> None:
    """Thin or thicken the cortex of a tissue map from outside until it is as thick as wanted.

    Cortex nearest to the brain's surface becomes fluid, so that sulci open, or fluid nearest
    to it becomes cortex, as far as there is fluid beside cortex.

    Parameters
    ----------
    voxels : (N,) flat indices of the voxels within the brain mask.
    depth : (N,) mm to the brain's surface, negative inside.
    """
    flat = tissues.view(-1)
    for _ in range(CORTEX_STEPS):
        now = thickness(tissues, spacing)
        cortex = flat[voxels] == CODE["cortex"]
        change = round(int(cortex.sum()) * (wanted / max(now, 1e-6) - 1))
        if change < 0:
            at, target, order = cortex.nonzero()[:, 0], CODE["fluid"], -1
        else:
            beside = F.max_pool3d((tissues == CODE["cortex"])[None].float(), 3, 1, 1).view(-1)
            fluid = (flat[voxels] == CODE["fluid"]) & (beside[voxels] > 0)
            at, target, order = fluid.nonzero()[:, 0], CODE["cortex"], 1
        k = min(abs(change), len(at))
        nearest = torch.topk(order * depth[at], k, largest=False, sorted=False).indices
        flat[voxels[at[nearest]]] = target


def _where_brain_may_be(anatomy: Anatomy, warp: Field, lattice: Lattice, margin: float) -> Tensor:
    """(X, Y, Z) bool: no voxel of the brain is left out, many that are far from it are."""
    x, y, z = (-(-n // 2) for n in lattice.shape)
    coarse = Lattice((x, y, z), lattice.origin, 2 * lattice.spacing)
    distance = anatomy.distances.at(warp.on(coarse).movedim(0, -1))[1]
    close = distance < margin + SPARE * lattice.spacing
    for axis in range(3):
        close = close.repeat_interleave(2, dim=axis).narrow(axis, 0, lattice.shape[axis])
    return close


def _box_around(mask: Tensor) -> Box:
    """The smallest box with all of a mask (X, Y, Z) in it; all there is where it is empty."""
    if not mask.any():
        mask = torch.ones_like(mask)
    x, y, z = (_extent(mask.any(dim=a).any(dim=b)) for a, b in ((2, 1), (2, 0), (1, 0)))
    return x, y, z


def _extent(used: Tensor) -> slice:
    """From the first to the last True."""
    places = used.nonzero()[:, 0]
    return slice(int(places[0]), int(places[-1]) + 1)
