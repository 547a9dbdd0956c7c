"""Slices with lesions in memory: making one costs more than learning from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Steps of the intensities that are kept for an intensity of 1.
LEVELS = 170


@dataclass(frozen=True, eq=False)
class Bank:
    """Slices to learn from.

    Parameters
    ----------
    images : (N, 4, 3, X, Y) uint8, `LEVELS` for an intensity of 1; modalities as in
        `training.data.grids.MODALITIES`, zeros where missing.
    present : (N, 4) bool.
    target : (N, X, Y) bool, lesions of the middle slice.
    weight : (N, X, Y) bool, False where nobody knows whether there is a lesion.
    slices : (N,) index of the middle slice on the model grid.
    """

    images: Tensor
    present: Tensor
    target: Tensor
    weight: Tensor
    slices: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def image(self, i: int) -> Tensor:
        """(4, 3, X, Y) float32, normalised intensity."""
        return self.images[i].float() / LEVELS


def stored(images: Tensor) -> Tensor:
    """Intensities as a bank keeps them: uint8."""
    return (images * LEVELS).round().clamp(0, 255).byte()


def joined(banks: Sequence[Bank]) -> Bank:
    """All slices of all banks."""
    names = ("images", "present", "target", "weight", "slices")
    return Bank(*(torch.cat([getattr(bank, name) for bank in banks]) for name in names))
