"""The lattice that deformations live on: cubic B-splines, their velocity and its exponential.

A deformation is the exponential of a stationary velocity (Arsigny et al. 2006).  The velocity
is a cubic B-spline with a control point every 8 mm, evaluated on a lattice of about 4 mm, where
it is integrated; images of 2 mm are sampled through it.  Displacements are in 2 mm voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

#: First voxel and shape of the crop of the healthy people's 2 mm grid that the brain fills.
LOW: tuple[int, int, int] = (5, 5, 0)
SHAPE: tuple[int, int, int] = (80, 100, 84)
#: Shape of the lattice of the velocity, about 4 mm, over the same extent.
LATTICE: tuple[int, int, int] = (40, 50, 42)
#: Lattice steps from one control point to the next.
STRIDE = 2
#: Control points of each axis: one beyond either end.
CONTROLS: tuple[int, int, int] = (23, 28, 24)
#: Squarings of the exponential.
STEPS = 5


#: Volume that one point of the lattice stands for, ml.
POINT_ML = 8 / 1000 * (79 / 39) * (99 / 49) * (83 / 41)


@cache
@torch.inference_mode(False)  # kept, and an inversion may need it for gradients
def spline(n: int, controls: int) -> Tensor:
    """(n, controls) cubic B-spline weights of `n` lattice points."""
    at = torch.arange(n, dtype=torch.float64) / STRIDE
    t = (at.view(-1, 1) + 1 - torch.arange(controls, dtype=torch.float64)).abs()
    near = 2 / 3 - t**2 + t**3 / 2
    far = (2 - t).clamp(min=0) ** 3 / 6
    return torch.where(t < 1, near, far).float()


def velocity(p: Tensor) -> Tensor:
    """(N, 3, *LATTICE) velocity, 2 mm voxels, of control values (N, 3, *CONTROLS)."""
    for axis in range(3):
        weights = spline(LATTICE[axis], CONTROLS[axis]).to(p.device)
        p = torch.tensordot(p, weights, dims=([2], [1]))  # the axis goes last: in turn, all three
    return p


def fit_controls(v: Tensor) -> Tensor:
    """(N, 3, *CONTROLS) control values whose velocity is nearest to `v` (least squares)."""
    for axis in range(3):
        weights = torch.linalg.pinv(spline(LATTICE[axis], CONTROLS[axis])).to(v.device)
        v = torch.tensordot(v, weights, dims=([2], [1]))
    return v


@cache
@torch.inference_mode(False)
def identity(shape: tuple[int, int, int]) -> Tensor:
    """(1, *shape, 3) coordinates for `grid_sample` (-1 to 1, last axis first)."""
    axes = [torch.linspace(-1, 1, n) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], -1)[None]


def as_grid(u: Tensor) -> Tensor:
    """Displacements (N, 3, X, Y, Z), 2 mm voxels, in the unit and order of `grid_sample`."""
    unit = torch.tensor([2 / (n - 1) for n in SHAPE], device=u.device).view(1, 3, 1, 1, 1)
    grid: Tensor = (u * unit).flip(1).permute(0, 2, 3, 4, 1)
    return grid


def exponential(v: Tensor) -> Tensor:
    """(N, 3, *LATTICE) displacement, by scaling and squaring."""
    u: Tensor = v / 2**STEPS
    points = identity(LATTICE).to(v.device)
    for _ in range(STEPS):
        at = points + as_grid(u)
        u = u + F.grid_sample(u, at, align_corners=True, padding_mode="border")
    return u


def points_of(u: Tensor, slices: Sequence[int]) -> Tensor:
    """(N, X, Y, n, 3) where axial slices of the 2 mm grid are sampled, for `grid_sample`.

    Parameters
    ----------
    u : (N, 3, *LATTICE) displacement, 2 mm voxels.
    """
    at = identity(SHAPE)[:, :, :, list(slices)].to(u.device).expand(len(u), -1, -1, -1, -1)
    own = F.grid_sample(u, at, align_corners=True, padding_mode="border")
    return at + as_grid(own)


def finer(u: Tensor) -> Tensor:
    """A field of the lattice on the 2 mm grid."""
    return F.interpolate(u, SHAPE, mode="trilinear", align_corners=True)


def coarser(image: Tensor) -> Tensor:
    """An image of 2 mm on the lattice."""
    return F.interpolate(image, LATTICE, mode="trilinear", align_corners=True)


def warp(image: Tensor, u: Tensor) -> Tensor:
    """`image` (of 2 mm or on the lattice) at x + u(x), zero beyond it."""
    shape = (image.shape[2], image.shape[3], image.shape[4])
    at = identity(shape).to(image.device) + as_grid(finer(u) if shape == SHAPE else u)
    return F.grid_sample(image, at, align_corners=True, padding_mode="zeros")
