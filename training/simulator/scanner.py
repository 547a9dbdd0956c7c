"""What a scanner and its operator do to ideal images: resolution, bias field, noise, scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.simulator.volumes import Lattice, gaussian, smooth_noise

#: A Gaussian's full width at half maximum, in standard deviations.
FWHM = 2.355
#: Voxels that the 99.5th percentile is estimated from.
SAMPLED = 20_000


@dataclass(frozen=True)
class Scanner:
    """Settings of a scanner; ranges from which each scan draws its own.

    Parameters
    ----------
    point_spread_mm : standard deviation of in-plane blur, (low, high).
    thick_mm : slice thickness (low, high); those up to 1.5 mm are not blurred further.
    thick_share : share of scans with thick slices.
    bias : standard deviation of the multiplicative field, (low, high).
    noise : standard deviation of Rician noise, (low, high), in units of the look.
    gamma : standard deviation of the logarithm of a contrast exponent.
    """

    point_spread_mm: tuple[float, float] = (0.5, 1.1)
    thick_mm: tuple[float, float] = (2.0, 4.0)
    thick_share: float = 0.4
    bias: tuple[float, float] = (0.0, 0.06)
    noise: tuple[float, float] = (0.0, 0.03)
    gamma: float = 0.0


def scan(images: Tensor, lattice: Lattice, scanner: Scanner, generator: torch.Generator) -> Tensor:
    """(4, X, Y, Z) as scanned; partial volume comes from the blur.

    The background stays 0.  A slab too thin for it is not blurred across its slices.
    """
    inside = images.amax(dim=0) > 0
    out = []
    for image in images:
        spread = uniform(scanner.point_spread_mm, generator) / lattice.spacing
        sigmas = [spread] * 3
        if float(torch.rand((), generator=generator)) < scanner.thick_share:
            axis = int(torch.randint(3, (), generator=generator))
            thick = uniform(scanner.thick_mm, generator) / FWHM / lattice.spacing
            sigmas[axis] = max(spread, thick)
        out.append(
            gaussian(image, [s if n > 5 else 0.0 for s, n in zip(sigmas, image.shape, strict=True)])
        )
    blurred = torch.stack(out)
    gammas = torch.exp(scanner.gamma * torch.randn(len(images), generator=generator))
    if scanner.gamma:
        blurred = blurred.clamp_min(1e-4) ** gammas[:, None, None, None]
    size = torch.tensor([uniform(scanner.bias, generator) for _ in images])
    if float(size.max()) > 0:
        bias = smooth_noise(lattice, 60.0, generator, channels=len(images))
        blurred = blurred * torch.exp(size[:, None, None, None] * bias)
    level = torch.tensor([uniform(scanner.noise, generator) for _ in images])[:, None, None, None]
    if float(level.max()) > 0:
        shape = (2, *blurred.shape)
        real, imaginary = level * torch.randn(shape, generator=generator)
        blurred = ((blurred + real) ** 2 + imaginary**2).sqrt()
    return blurred * inside


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
    values = images[:, brain]
    if values.shape[1] == 0:
        return images
    if values.shape[1] > SAMPLED:
        chosen = torch.randint(values.shape[1], (SAMPLED,), generator=generator)
        values = values[:, chosen]
    rank = max(1, round(0.995 * values.shape[1]))
    high = values.kthvalue(rank, dim=1).values.clamp_min(1e-3)
    return (images * (shares / high)[:, None, None, None]).clamp_(0, 1.5)


def uniform(limits: tuple[float, float], generator: torch.Generator) -> float:
    """A uniform random number between two limits."""
    low, high = limits
    return low + (high - low) * float(torch.rand((), generator=generator))
