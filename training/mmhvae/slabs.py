"""Slices of whole simulated heads beside slices that are simulated on their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from training.simulator.scanner import Scanner
from training.simulator.simulator import Simulator as Heads

#: Targets are scans without bias field and noise; `scans.vary` adds them to what is fed.
CLEAN = Scanner(thick_share=0.2, bias=(0.0, 0.0), noise=(0.0, 0.0))
#: A slice and its neighbours.
THICK = 3


class SliceSource(Protocol):
    """Anything that makes slices."""

    def batch(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Random slices with their neighbours.

        Returns
        -------
        images : (n, 4, 3, X, Y) in normalised intensity, modalities as in `MODALITIES`.
        lesion : (n, X, Y) in [0, 1], how much of each voxel of the middle slice is lesion.
        slices : (n,) index of the middle slice on the model grid.
        """


@dataclass(frozen=True, eq=False)
class Slabs:
    """Three neighbouring slices of simulated heads."""

    heads: Heads

    def batch(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """See `SliceSource`."""
        made = self.heads.draw(n, generator, spacing=1.0, slab=THICK, scanner=CLEAN)
        lesion = made.lesions[..., THICK // 2].float()
        return made.images.movedim(-1, 2).contiguous(), lesion, made.slices


@dataclass(frozen=True, eq=False)
class Either:
    """Now of one source, now of another.

    Parameters
    ----------
    share : of the batches that come from `second`.
    """

    first: SliceSource
    second: SliceSource
    share: float

    def batch(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """See `SliceSource`."""
        second = float(torch.rand((), generator=generator)) < self.share
        return (self.second if second else self.first).batch(n, generator)
