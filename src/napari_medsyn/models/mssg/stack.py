"""A volume as a stack of pictures: one StyleGAN2 for which slice position is one more label.

Source: multi-source StyleGAN (Lai et al., MIDL 2024), which makes single slices.  Here all
slices of a person share latent, covariates and noise, and differ in their position alone, so
that neighbours follow from each other as smoothly as the mapping network lets them.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from napari_medsyn.models.stylegan2.network import Generator

#: Numbers of a person: age, sex, ventricles, lesions, cohort, as `LabelModel.encode` gives them.
COVARIATES: Final = 5
#: Sines and cosines of a position, by which the mapping network tells near slices apart.
HARMONICS: Final = 3
#: Labels that the generator reads.
LABELS: Final = COVARIATES + 1 + 2 * HARMONICS
#: Normalised intensity of the brightest value of a picture, 1; -1 is 0.
BRIGHTEST: Final = 1.2
#: Latents whose mean style a truncated style is drawn to, and the seed they are drawn from.
CENTRE: Final = 64
CENTRE_SEED: Final = 0


def position_labels(positions: Tensor) -> Tensor:
    """Labels (n, 1 + 2 HARMONICS) of slice positions (n,), -1 lowest slice to 1 highest."""
    turns = math.pi * torch.arange(1, HARMONICS + 1, device=positions.device)
    angles = positions[:, None] * turns
    return torch.cat([positions[:, None], angles.sin(), angles.cos()], dim=1)


def labels(covariates: Tensor, positions: Tensor) -> Tensor:
    """The generator's labels (n, LABELS) of covariates (n, COVARIATES) at positions (n,)."""
    return torch.cat([covariates, position_labels(positions)], dim=1)


def as_picture(intensity: Tensor) -> Tensor:
    """Normalised intensities as the values of a picture, -1 to 1."""
    return (intensity * (2 / BRIGHTEST) - 1).clamp(max=1)


def as_intensity(picture: Tensor) -> Tensor:
    """Values of a picture as normalised intensities, 0 to `BRIGHTEST`."""
    return ((picture + 1) * (BRIGHTEST / 2)).clamp(0, BRIGHTEST)


def positions(slices: Tensor, count: int) -> Tensor:
    """Positions (n,) of slice numbers among `count`: -1 for the first, 1 for the last one."""
    return slices * (2 / (count - 1)) - 1


@torch.no_grad()
def stack(net: Generator, z: Tensor, covariates: Tensor, where: Tensor, psi: float = 1.0) -> Tensor:
    """Some slices of one person.

    Parameters
    ----------
    net : generator whose labels are `labels`.
    z : (net.layout.z,) the person's latent, which all slices share.
    covariates : (COVARIATES,) encoded.
    where : (n,) positions.
    psi : truncation: 1 leaves the person as drawn, 0 gives the mean person with these
        covariates.

    Returns
    -------
    (n, side, side) normalised intensity; the first axis of a slice is x, the second y.
    """
    c = labels(covariates.expand(len(where), -1), where)
    w: Tensor = net.mapping(z.expand(len(where), -1), c)
    if psi != 1:
        w = torch.lerp(centre(net, c), w, psi)
    made: Tensor = net.synthesis(w.unsqueeze(1).expand(-1, net.layout.styles, -1), "const")
    return as_intensity(made[:, 0])


def centre(net: Generator, c: Tensor) -> Tensor:
    """Mean style (n, w) over latents for each of the labels (n, c).

    The usual centre is the mean over labels, too; towards that one, every slice would become
    the middle one, and every person of the mean age.
    """
    generator = torch.Generator("cpu").manual_seed(CENTRE_SEED)
    latents = torch.randn(CENTRE, net.layout.z, generator=generator).to(c.device)
    each: Tensor = net.mapping(latents.repeat(len(c), 1), c.repeat_interleave(CENTRE, dim=0))
    return each.view(len(c), CENTRE, -1).mean(dim=1)
