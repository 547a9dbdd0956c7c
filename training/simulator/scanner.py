"""What a scanner and its operator do to ideal images: resolution, bias field, noise, scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from training.simulator.volumes import Lattice, gaussian, smooth_noise

#: A Gaussian's full width at half maximum, in standard deviations.
FWHM = 2.355
#: Voxels that the 99.5th percentile is estimated from.
SAMPLED = 60_000


@dataclass(frozen=True)
class Scanner:
    """Settings of a scanner; ranges from which each scan draws its own.

    Parameters
    ----------
    point_spread_mm : standard deviation of in-plane blur, (low, high).
    thick_mm : slice thickness (low, high); those up to 1.5 mm are not blurred further.
    thick_share : share of scans with thick slices.
    thick_axes : across which axes slices may be thick: 0 sagittal, 1 coronal, 2 axial.
    bias : standard deviation of the multiplicative field, (low, high).
    noise : standard deviation of Rician noise, (low, high), in units of the look.
    gamma : standard deviation of the logarithm of a contrast exponent.
    """

    point_spread_mm: tuple[float, float] = (0.5, 1.1)
    thick_mm: tuple[float, float] = (2.0, 4.0)
    thick_share: float = 0.4
    thick_axes: tuple[int, ...] = (0, 1, 2)
    bias: tuple[float, float] = (0.0, 0.06)
    noise: tuple[float, float] = (0.0, 0.03)
    gamma: float = 0.0


def scan(images: Tensor, lattice: Lattice, scanner: Scanner, generator: torch.Generator) -> Tensor:
    """(4, X, Y, Z) as scanned; partial volume comes from the blur.

    The background stays 0.  A slab too thin for it is not blurred across its slices.
    """
    inside = images.amax(dim=0).flatten().nonzero()[:, 0]
    blurred = torch.stack([_blurred(image, lattice, scanner, generator) for image in images])
    values = blurred.flatten(1)[:, inside]
    if scanner.gamma:
        gammas = torch.exp(scanner.gamma * torch.randn(len(images), 1, generator=generator))
        values = values.clamp_min(1e-4) ** gammas
    size = torch.tensor([[uniform(scanner.bias, generator)] for _ in images])
    if float(size.max()) > 0:
        bias = smooth_noise(lattice, 60.0, generator, channels=len(images))
        values = values * torch.exp(size * bias.flatten(1)[:, inside])
    level = torch.tensor([[uniform(scanner.noise, generator)] for _ in images])
    if float(level.max()) > 0:
        real, imaginary = level * torch.randn(2, *values.shape, generator=generator)
        values = ((values + real) ** 2 + imaginary**2).sqrt()
    out = torch.zeros_like(images)
    out.view(len(images), -1)[:, inside] = values
    return out


def _blurred(
    image: Tensor, lattice: Lattice, scanner: Scanner, generator: torch.Generator
) -> Tensor:
    """(X, Y, Z) one modality at its own resolution."""
    # A voxel averages over itself, which labels taken at its centre do not.
    own = uniform(scanner.point_spread_mm, generator)
    spread = math.hypot(own, lattice.spacing / math.sqrt(12)) / lattice.spacing
    sigmas = [spread] * 3
    if float(torch.rand((), generator=generator)) < scanner.thick_share:
        chosen = int(torch.randint(len(scanner.thick_axes), (), generator=generator))
        thick = uniform(scanner.thick_mm, generator) / FWHM / lattice.spacing
        sigmas[scanner.thick_axes[chosen]] = max(spread, thick)
    sizes = zip(sigmas, image.shape, strict=True)
    return gaussian(image, [sigma if n > 5 else 0.0 for sigma, n in sizes])


def to_full_scale(
    images: Tensor, brain: Tensor, shares: Tensor, generator: torch.Generator
) -> Tensor:
    """Scale each modality so that its 99.5th percentile over the brain is `shares`.

    Parameters
    ----------
    images : (4, X, Y, Z).
    brain : (X, Y, Z) bool.
    shares : (4,); ones for a whole brain, less for a slab of one: other slices may be
        brighter.
    """
    voxels = brain.flatten().nonzero()[:, 0]
    if len(voxels) == 0:
        return images
    if len(voxels) > SAMPLED:
        voxels = voxels[torch.randint(len(voxels), (SAMPLED,), generator=generator)]
    values = images.flatten(1)[:, voxels]
    rank = max(1, round(0.995 * values.shape[1]))
    high = values.kthvalue(rank, dim=1).values.clamp_min(1e-3)
    return (images * (shares / high)[:, None, None, None]).clamp_(0, 1.5)


def uniform(limits: tuple[float, float], generator: torch.Generator) -> float:
    """A uniform random number between two limits."""
    low, high = limits
    return low + (high - low) * float(torch.rand((), generator=generator))
