"""What another scanner would have made of the same brain: contrast, bias, noise, thickness."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def another_look(t1: Tensor, generator: torch.Generator) -> Tensor:
    """The same crop as other scanners might show it.

    Parameters
    ----------
    t1 : (1, X, Y, Z) normalised intensity, 0 outside the brain.

    Returns
    -------
    The same shape, in [0, 1.5], 0 where `t1` is 0.
    """
    inside = t1 > 0
    seen = t1.clamp(min=0).pow(2.0 ** _between(-0.7, 0.7, generator))
    if _chance(0.35, generator):
        seen = _thick(seen, generator)
    elif _chance(0.3, generator):
        seen = _blurred(seen)
    if _chance(0.7, generator):
        seen = seen * _bias(t1.shape[1:], generator)
    if _chance(0.7, generator):
        noise = torch.randn(seen.shape, generator=generator)
        seen = seen + _between(0.0, 0.06, generator) * noise
    return (seen * _between(0.85, 1.15, generator)).clamp(0, 1.5) * inside


def _thick(image: Tensor, generator: torch.Generator) -> Tensor:
    """Slices of 4 or 6 mm along one axis, interpolated back to 2 mm."""
    factor = 2 + int(torch.randint(2, (1,), generator=generator))
    axis = int(torch.randint(3, (1,), generator=generator))
    size = [1, 1, 1]
    size[axis] = factor
    thick = F.avg_pool3d(image[None], size, stride=size, ceil_mode=True, count_include_pad=False)
    shape = tuple(image.shape[1:])
    return F.interpolate(thick, shape, mode="trilinear", align_corners=False)[0]


def _blurred(image: Tensor) -> Tensor:
    return F.avg_pool3d(image[None], 3, stride=1, padding=1, count_include_pad=False)[0]


def _bias(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """A smooth field around 1, from a coarse lattice of random numbers."""
    lattice = torch.randn((1, 1, 3, 3, 3), generator=generator) * _between(0.0, 0.2, generator)
    field = F.interpolate(lattice, tuple(shape), mode="trilinear", align_corners=True)[0]
    return torch.exp(field)


def _between(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _chance(probability: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < probability
