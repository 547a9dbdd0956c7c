"""Volumes with a place in the world, read at any points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Lattice:
    """A regular grid along the world's axes.

    Parameters
    ----------
    shape : (X, Y, Z) voxels.
    origin : world position of the centre of voxel (0, 0, 0), RAS+ mm.
    spacing : voxel size, mm.
    """

    shape: tuple[int, int, int]
    origin: tuple[float, float, float]
    spacing: float

    def points(self) -> Tensor:
        """(X, Y, Z, 3) world positions of the voxels, mm."""
        axes = [
            o + self.spacing * torch.arange(n) for o, n in zip(self.origin, self.shape, strict=True)
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, ml."""
        return self.spacing**3 / 1000

    def slices(self, first: int, last: int) -> Lattice:
        """The axial slices `first` up to, but not with, `last`."""
        return self.part((slice(0, self.shape[0]), slice(0, self.shape[1]), slice(first, last)))

    def part(self, box: Box) -> Lattice:
        """The voxels of a box, each of whose slices has a start, a stop and no step."""
        x, y, z = (o + self.spacing * b.start for o, b in zip(self.origin, box, strict=True))
        i, j, k = (b.stop - b.start for b in box)
        return Lattice((i, j, k), (x, y, z), self.spacing)


#: A slice along each axis of a volume.
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Field:
    """Values on a lattice.

    Parameters
    ----------
    values : (C, X, Y, Z).
    """

    values: Tensor
    lattice: Lattice

    def at(self, points: Tensor, *, nearest: bool = False) -> Tensor:
        """(C, …) float32 values at points; those outside take the nearest border's.

        Parameters
        ----------
        points : (…, 3) world, mm.
        nearest : the nearest voxel's value, instead of trilinear interpolation.
        """
        if points.numel() == 0:
            return torch.zeros(len(self.values), *points.shape[:-1])
        origin = torch.tensor(self.lattice.origin)
        last = self.lattice.spacing * (torch.tensor(self.lattice.shape) - 1)
        where = (2 / last) * (points.reshape(-1, 3) - origin) - 1
        found = F.grid_sample(
            self.values[None].float(),
            where.flip(-1)[
                None, :, None, None
            ],  # its coordinates run from the last axis to the first
            mode="nearest" if nearest else "bilinear",
            padding_mode="border",
            align_corners=True,
        )
        return found.reshape(len(self.values), *points.shape[:-1])

    def on(self, lattice: Lattice) -> Tensor:
        """(C, X, Y, Z) trilinear values at a lattice's voxels, as of `at` and much cheaper."""
        places = [
            (o + lattice.spacing * torch.arange(n) - origin) / self.lattice.spacing
            for o, n, origin in zip(lattice.origin, lattice.shape, self.lattice.origin, strict=True)
        ]
        return _stretched(self.values, places)


def lookup(codes: Tensor, lattice: Lattice, points: Tensor) -> Tensor:
    """(…) codes of the nearest voxels, 0 outside; `codes` (X, Y, Z) of any integer type.

    Much cheaper than `Field.at`, as nothing is turned into floats.
    """
    origin = torch.tensor(lattice.origin)
    index = ((points - origin) / lattice.spacing).round_().long()
    inside = torch.ones(points.shape[:-1], dtype=torch.bool)
    flat = torch.zeros(points.shape[:-1], dtype=torch.long)
    for axis, size in enumerate(lattice.shape):
        part = index[..., axis]
        inside &= (part >= 0) & (part < size)
        flat = flat * size + part.clamp(0, size - 1)
    return codes.reshape(-1)[flat] * inside


def smooth_noise(
    lattice: Lattice, width: float, generator: torch.Generator, channels: int = 1
) -> Tensor:
    """(C, X, Y, Z) Gaussian noise of about unit size, correlated over about `width` mm.

    Random nodes about `width` apart, interpolated.
    """
    nodes = [max(2, round(lattice.spacing * n / width) + 1) for n in lattice.shape]
    coarse = torch.randn(channels, *nodes, generator=generator)
    fine = _stretched(
        coarse,
        [torch.linspace(0, last - 1, n) for last, n in zip(nodes, lattice.shape, strict=True)],
    )
    # Between nodes the blend of independent values is smaller than they are.
    return fine * 1.5


def gaussian(images: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Blur (…, X, Y, Z) by a Gaussian of a standard deviation for each axis, voxels."""
    for axis, sigma in zip((-3, -2, -1), sigmas, strict=True):
        reach = min(int(3 * sigma + 0.5), images.shape[axis] - 1)
        if sigma <= 0 or reach < 1:
            continue
        offsets = torch.arange(-reach, reach + 1)
        kernel = torch.exp(-(offsets.float() ** 2) / (2 * sigma**2))
        weights = (kernel / kernel.sum()).tolist()
        size = images.shape[axis]
        out = torch.zeros_like(images)
        for offset, weight in zip(offsets.tolist(), weights, strict=True):
            length = size - abs(offset)
            source = images.narrow(axis, max(0, offset), length)
            out.narrow(axis, max(0, -offset), length).add_(source, alpha=weight)
        images = out
    return images


def _stretched(values: Tensor, places: Sequence[Tensor]) -> Tensor:
    """(C, X, Y, Z) values between the nodes of (C, I, J, K), one axis after the other.

    Parameters
    ----------
    places : of each axis the positions wanted, in nodes; beyond the ends the ends' values.
    """
    # Axes that grow least go first, so that what is in between stays small.
    for axis in sorted(range(3), key=lambda a: len(places[a]) / values.shape[a + 1]):
        nodes = torch.arange(values.shape[axis + 1])
        place = places[axis].clamp(0, len(nodes) - 1)
        weights = (1 - (place[:, None] - nodes).abs()).clamp_min(0)
        values = torch.tensordot(values, weights, ([axis + 1], [1])).movedim(-1, axis + 1)
    return values.contiguous()
