"""What another scanner would have made of the same crop of slices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.mmhvae.simulate import uniform


def another_look(images: Tensor, generator: torch.Generator) -> Tensor:
    """Other contrast, scale, bias field and noise, each modality on its own; 0 stays 0.

    Parameters
    ----------
    images : (n, m, 3, X, Y) normalised intensity.

    Returns
    -------
    The same shape, in [0, 1.5].
    """
    n, m = images.shape[:2]
    inside = images > 0
    gamma = 2.0 ** uniform((n, m, 1, 1, 1), -1.0, 1.0, generator)
    scale = uniform((n, m, 1, 1, 1), 0.8, 1.2, generator)
    seen = images.clamp_min(1e-4) ** gamma * scale
    lattice = 0.05 * torch.randn((n, m, 3, 3), generator=generator)
    bias = F.interpolate(lattice, images.shape[-2:], mode="bicubic", align_corners=True)
    seen = seen * (1 + bias[:, :, None])
    strength = 0.03 * torch.rand((n, m, 1, 1, 1), generator=generator)
    seen = seen + strength * torch.randn(images.shape, generator=generator)
    return seen.clamp(0, 1.5) * inside
