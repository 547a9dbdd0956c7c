"""Random diffeomorphic changes of shape, and sizes that can be asked for.

A head is made by looking up, for every point of the new head, where in the old one it came
from: first a random diffeomorphism (the exponential of a stationary velocity field by
scaling and squaring, Arsigny et al. 2006, MICCAI, "A log-Euclidean framework for statistics
on diffeomorphisms", section 3) with an affine, then two moves along the normals of
surfaces: of the ventricles' and of the brain's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.simulator.volumes import Field, Lattice

#: Nodes of the velocity: MNI's head, 10 mm apart.
NODES = Lattice((21, 25, 21), (-100.0, -136.0, -82.0), 10.0)
#: Standard deviation of the velocity (mm) and over how many nodes it is smooth.
VELOCITIES = ((3.5, 3.0), (1.5, 1.2))
SQUARINGS = 4

#: How far (mm) the surroundings follow when the ventricles' surface moves: outside, inside.
VENTRICLE_REACH = (14.0, 8.0)
#: The same for the brain's surface, so that only cortex and sulci change.
BRAIN_REACH = (4.0, 3.0)


def random_warp(generator: torch.Generator, *, strength: float = 1.0, mirror: bool = True) -> Field:
    """A random diffeomorphism and affine: where the points of a new head come from.

    Parameters
    ----------
    strength : 0 leaves the anatomy as it is (but for the mirror).
    mirror : left and right may be swapped.

    Returns
    -------
    (3, …) world positions in the anatomy, mm, on `NODES`, which reach beyond every head.
    """
    velocity = torch.zeros(3, *NODES.shape)
    for size, width in VELOCITIES:
        velocity += strength * size * _smooth(NODES.shape, width, generator)
    angles = strength * 0.05 * torch.randn(3, generator=generator)
    scales = 1 + strength * 0.03 * torch.randn(3, generator=generator).clamp(-2, 2)
    shift = strength * 2.0 * torch.randn(3, generator=generator)
    linear = rotation(angles) * scales
    if mirror and float(torch.rand((), generator=generator)) < 0.5:
        linear[:, 0] *= -1
    moved = NODES.points() + exponentiate(velocity).movedim(0, -1)
    return Field((moved @ linear.T + shift).movedim(-1, 0), NODES)


def exponentiate(velocity: Tensor) -> Tensor:
    """(3, X, Y, Z) displacement of one unit of time along a stationary velocity on `NODES`, mm."""
    points = NODES.points()
    displacement: Tensor = velocity / 2**SQUARINGS
    for _ in range(SQUARINGS):
        onward = Field(displacement, NODES).at(points + displacement.movedim(0, -1))
        displacement = displacement + onward
    return displacement


def rotation(angles: Tensor) -> Tensor:
    """(3, 3) rotation about x, then y, then z by (3,) angles in radians."""
    linear = torch.eye(3)
    for axis, angle in enumerate(angles.tolist()):
        turn = torch.eye(3)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[i, i] = turn[j, j] = math.cos(angle)
        turn[j, i], turn[i, j] = math.sin(angle), -math.sin(angle)
        linear = turn @ linear
    return linear


@dataclass(frozen=True)
class Moves:
    """How far surfaces move outward, mm; negative moves inward.

    Parameters
    ----------
    ventricles : of the ventricles: positive enlarges them.
    brain : of the brain: negative thins the cortex and widens the sulci.
    """

    ventricles: float = 0.0
    brain: float = 0.0


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What points of an anatomy must know of its surfaces to follow when they move.

    Parameters
    ----------
    points : (N, 3) world, mm.
    distances : (2, N) mm to the ventricles' and to the brain's surface, negative inside.
    normals : (6, N) outward unit normals of both.
    """

    points: Tensor
    distances: Tensor
    normals: Tensor

    def origins(self, moves: Moves) -> Tensor:
        """(N, 3) where in the anatomy the points come from when its surfaces have moved.

        Along the normal the old distance is a monotonic function of the new one,
        old = new - a exp(-|new| / reach), so outside the ventricles no two points have one
        origin as long as |a| < reach; `strength_of` keeps to that.
        """
        parts = (
            (strength_of(moves.ventricles, VENTRICLE_REACH, hollow=True), VENTRICLE_REACH),
            (strength_of(moves.brain, BRAIN_REACH), BRAIN_REACH),
        )
        push = torch.zeros_like(self.normals[:3])
        for i, (strength, reach) in enumerate(parts):
            if strength:
                size = strength * _fading(self.distances[i], reach)
                push += size * self.normals[3 * i : 3 * i + 3]
        return self.points - push.T


def strength_of(move: float, reach: tuple[float, float], *, hollow: bool = False) -> float:
    """`a` of `Surroundings.origins` by which a surface moves `move` mm outward.

    Where the surface comes to lie, the old distance is 0: a = move exp(|move| / reach).

    Parameters
    ----------
    hollow : points within the surface may change places, as all of them are fluid.
    """
    outside, inside = reach
    strength = move * math.exp(abs(move) / (outside if move > 0 else inside))
    return max(-0.9 * outside, min(0.9 * (outside if hollow else inside), strength))


def move_for_volume(distances: Tensor, voxels: float) -> float:
    """How far the ventricles' surface must move for a volume.

    What lies nearer than d before becomes ventricle when the surface moves d outward, so
    the answer is a quantile of the distances.

    Parameters
    ----------
    distances : (…) mm to the ventricles of every voxel of the new head.
    voxels : wanted volume.
    """
    flat = distances.flatten()
    near = flat[flat < 12.0]
    wanted = min(max(round(voxels), 1), len(near))
    return float(near.kthvalue(wanted).values)


def _fading(distance: Tensor, reach: tuple[float, float]) -> Tensor:
    scale = torch.where(distance > 0, reach[0], reach[1])
    return torch.exp(-distance.abs() / scale)


def _smooth(shape: tuple[int, int, int], width: float, generator: torch.Generator) -> Tensor:
    """(3, X, Y, Z) noise of unit size that is smooth over `width` nodes."""
    nodes = [max(2, math.ceil(n / width) + 1) for n in shape]
    coarse = torch.randn(1, 3, *nodes, generator=generator)
    fine = F.interpolate(coarse, shape, mode="trilinear", align_corners=True)[0]
    return fine / fine.std()
