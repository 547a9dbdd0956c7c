"""Lesions painted into slices: the same lesion in every modality, as each shows it.

A lesion of multiple sclerosis is brighter than white matter in FLAIR and T2 and as bright or
darker in T1.  How far it stands out is drawn from wide ranges, and differs from place to
place within a brain.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.grids import MODALITIES
from training.mmhvae.simulate import smooth_noise, uniform

#: Least and largest change of a lesion, as a share of white matter's intensity.
CHANGE = {"T1": (-0.05, -0.45), "T1c": (-0.05, -0.40), "T2": (0.20, 1.10), "FLAIR": (0.15, 0.70)}
#: Least and largest change of grey matter, the same: how far it stands out of white matter
#: differs between scanners and protocols more than lesions do.
GREY = {"T1": (-0.15, 0.08), "T1c": (-0.15, 0.08), "T2": (-0.1, 0.35), "FLAIR": (-0.1, 0.35)}
#: Share of slices whose lesions take up contrast agent, and by how much.
ENHANCING, ENHANCED = 0.1, 0.6
#: Relative spread of the change among places of one brain.
UNEVEN = 0.35
#: Widths of the Gaussian that softens a lesion's edge, voxels.
EDGE = (0.4, 1.0)
#: Share of a voxel from which it is labelled as lesion.
HALF = 0.5


def paint(
    images: Tensor, mask: Tensor, white: Tensor, level: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Slices with lesions, and where they are.

    Parameters
    ----------
    images : (n, 4, 3, X, Y) normalised intensity in the order of `MODALITIES`.
    mask : (n, 3, X, Y) in [0, 1], where lesions are wanted.
    white : (n, 3, X, Y) in [0, 1], white matter; elsewhere nothing is painted.
    level : (n, 4) intensity of white matter.

    Returns
    -------
    images : the same shape, new.
    target : (n, X, Y) bool, lesions of the middle slice.
    """
    n = len(images)
    place = mask * white
    share = softened(place, float(uniform((), *EDGE, generator)))
    uneven = (1 + UNEVEN * smooth_noise(n, 24, generator)).clamp(0.4, 1.7)
    change = _changes(n, generator) * level
    added = change[:, :, None, None, None] * (share * uneven)[:, None]
    inside = images > 0
    return (images + added).clamp_min(0) * inside, place[:, 1] > HALF


def add_rims(
    images: Tensor, ventricle: Tensor, white: Tensor, level: Tensor, generator: torch.Generator
) -> Tensor:
    """A bright rim around the ventricles in FLAIR and T2, which is no lesion.

    Healthy people have it, more of it with age; a judge must learn to leave it alone.

    Parameters
    ----------
    images, white, level : as for `paint`.
    ventricle : (n, 3, X, Y) 1 in the ventricles, else 0.
    """
    n = len(images)
    width = 2 * int(torch.randint(1, 3, (), generator=generator)) + 1
    near = F.max_pool2d(ventricle, width, stride=1, padding=width // 2) * (1 - ventricle)
    share = softened(near * white, 0.7) * (1 + 0.6 * smooth_noise(n, 16, generator)).clamp(0, 2)
    strength = uniform((n, 1), 0.0, 0.4, generator)
    change = torch.zeros(n, len(MODALITIES))
    change[:, [MODALITIES.index("FLAIR"), MODALITIES.index("T2")]] = strength
    added = (change * level)[:, :, None, None, None] * share[:, None]
    return images + added * (images > 0)


def regrey(images: Tensor, grey: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
    """Grey matter as other protocols show it, brighter or darker beside white matter.

    Parameters
    ----------
    images, level : as for `paint`.
    grey : (n, 3, X, Y) 1 in grey matter, else 0.
    """
    low, high = torch.tensor([GREY[m] for m in MODALITIES]).T
    change = low + (high - low) * torch.rand((len(images), len(MODALITIES)), generator=generator)
    added = (change * level)[:, :, None, None, None] * softened(grey, 0.7)[:, None]
    changed: Tensor = (images + added * (images > 0)).clamp_min(0)
    return changed


def softened(share: Tensor, sigma: float) -> Tensor:
    """(n, k, X, Y) blurred in the slices by a Gaussian of `sigma` voxels, cut off at 3."""
    offsets = torch.arange(-3.0, 4.0)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    flat = share.flatten(0, 1)[:, None]
    flat = F.conv2d(flat, kernel.view(1, 1, -1, 1), padding=(3, 0))
    return F.conv2d(flat, kernel.view(1, 1, 1, -1), padding=(0, 3))[:, 0].view(share.shape)


def _changes(n: int, generator: torch.Generator) -> Tensor:
    """(n, 4): how a lesion differs from white matter, as a share of its intensity.

    One severity moves all modalities together; each has some freedom of its own.
    """
    severity = torch.rand((n, 1), generator=generator)
    own = torch.rand((n, len(MODALITIES)), generator=generator)
    low, high = torch.tensor([CHANGE[m] for m in MODALITIES]).T
    change: Tensor = low + (high - low) * (0.6 * severity + 0.4 * own)
    enhancing = torch.rand((n,), generator=generator) < ENHANCING
    change[:, MODALITIES.index("T1c")] += ENHANCED * enhancing
    return change
