"""What the network is trained to reduce."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medsyn.models.mmhvae import Gaussian

LOG_SCALE_RANGE = (-6.0, 0.0)


def reconstruction(
    mean: Tensor, target: Tensor, weight: Tensor, *, structure: float, square: float
) -> Tensor:
    """L1 + `square` x squared error + `structure` x (1 - SSIM), weighted means.

    Parameters
    ----------
    mean, target : (N, 1, H, W) in normalised intensity; `target` 0 outside the brain.
    weight : (N, 1, H, W) at least 0; 0 outside the brain.  Only ratios count: the mean loss
        keeps its scale.
    """
    error = mean - target
    whole = weight.sum().clamp_min(1)
    pixel = ((error.abs() + square * error**2) * weight).sum() / whole
    likeness = (ssim(mean * (weight > 0), target) * weight).sum() / whole
    return pixel + structure * (1 - likeness)


def lesion_weight(inside: Tensor, lesion: Tensor, more: float) -> Tensor:
    """(N, 1, H, W): 1 in the brain, 1 + `more` in lesions, less beside them; 0 outside.

    A voxel beside a lesion counts by the mean of the three by three around it: there a
    lesion's extent is decided.

    Parameters
    ----------
    inside : (N, 1, H, W) 1 in the brain, else 0.
    lesion : (N, 1, H, W) in [0, 1].
    """
    near = F.avg_pool2d(lesion, 3, stride=1, padding=1)
    return inside * (1 + more * torch.maximum(lesion, near))


def laplace(log_scale: Tensor, error: Tensor, mask: Tensor) -> Tensor:
    """Negative log-likelihood of |error| under a Laplace scale; the error is not moved by it."""
    log_scale = log_scale.clamp(*LOG_SCALE_RANGE)
    nll = error.detach().abs() * torch.exp(-log_scale) + log_scale
    return (nll * mask).sum() / mask.sum().clamp_min(1)


def ssim(a: Tensor, b: Tensor, sigma: float = 1.5) -> Tensor:
    """(N, 1, H, W) map of structural similarity (Wang et al. 2004), data range 1."""
    offsets = torch.arange(-5.0, 6.0, device=a.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    stacked = torch.cat([a, b, a * a, b * b, a * b], dim=1)
    weight = kernel.expand(5, 1, -1)
    blurred = F.conv2d(stacked, weight[:, :, :, None], padding=(5, 0), groups=5)
    blurred = F.conv2d(blurred, weight[:, :, None, :], padding=(0, 5), groups=5)
    mean_a, mean_b, aa, bb, ab = blurred.chunk(5, dim=1)
    var_a, var_b, cov = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * mean_a * mean_b + c1) * (2 * cov + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    )


def kl(posteriors: Sequence[Gaussian], priors: Sequence[Gaussian], free_bits: float) -> Tensor:
    """Sum over levels and elements of KL(q || p), mean over the batch, with free bits."""
    total = torch.zeros(())
    for q, p in zip(posteriors, priors, strict=True):
        ratio = (q.std / p.std) ** 2
        element = 0.5 * (ratio + ((q.mean - p.mean) / p.std) ** 2 - 1 - ratio.log())
        level = element.flatten(1).sum(dim=1).mean()
        floor = free_bits * element[0].numel()
        total = total + torch.clamp(level, min=floor)
    return total
