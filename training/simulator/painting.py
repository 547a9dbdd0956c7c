"""A tissue map to images: contrast per tissue and modality, texture, vessels, enhancement."""

from __future__ import annotations

import torch
from torch import Tensor

from training.data.grids import MODALITIES
from training.simulator.looks import Look
from training.simulator.tissues import CODE, LESION
from training.simulator.volumes import Lattice, smooth_noise

T1C = MODALITIES.index("T1c")
#: How a unit of hidden tissue texture (myelin, water) moves each modality.
TEXTURE = (-0.025, -0.02, 0.015, 0.025)
#: Size of texture: correlation length in mm and weight.
GRAIN = ((22.0, 0.8), (7.0, 0.6))
#: Share of heads whose lesions enhance at all, and of the lesions of those that do.
ENHANCING = 0.3


def paint(tissues: Tensor, lattice: Lattice, look: Look, generator: torch.Generator) -> Tensor:
    """Images of a head as an ideal scanner would see them, before partial volume.

    Parameters
    ----------
    tissues : (X, Y, Z) uint8 codes, lesions included.

    Returns
    -------
    (4, X, Y, Z) float32 in units of the look; 0 outside the head.
    """
    table = torch.cat([torch.zeros(len(MODALITIES), 1), look.means], dim=1)
    images = table[:, tissues.long()]
    grain = torch.zeros(lattice.shape)
    for width, weight in GRAIN:
        grain += weight * smooth_noise(lattice, width, generator)[0]
    solid = ((tissues > 0) & (tissues != CODE["ventricle"])).float()
    images += torch.tensor(TEXTURE)[:, None, None, None] * (solid * grain)
    images[T1C] += _enhancement(tissues, lattice, look, generator)
    return images.clamp_min_(0) * (tissues > 0)


def _enhancement(
    tissues: Tensor, lattice: Lattice, look: Look, generator: torch.Generator
) -> Tensor:
    """(X, Y, Z) what contrast agent adds: vessels, choroid plexus, some lesions."""
    ventricle = tissues == CODE["ventricle"]
    outside = (tissues == CODE["fluid"]) | (tissues == CODE["cortex"])
    # Two thin sheets meet in lines: a vessel of the sulci where both noises are near 0.
    sheets = smooth_noise(lattice, 14.0, generator, channels=2)
    near = torch.exp(-((sheets / 0.22) ** 2).sum(dim=0))
    added = look.vessel * near * outside
    plexus = smooth_noise(lattice, 6.0, generator)[0] > 1.6
    added = added + 0.5 * look.vessel * (plexus & ventricle)
    if float(torch.rand((), generator=generator)) < ENHANCING:
        where = smooth_noise(lattice, 16.0, generator)[0]
        # Some enhance as a whole, some as a ring, which a band of the noise cuts out of them.
        band = (
            (where > 0.9)
            if float(torch.rand((), generator=generator)) < 0.5
            else (where.abs() < 0.25)
        )
        added = added + 0.5 * look.vessel * ((tissues == LESION) & band)
    return added
