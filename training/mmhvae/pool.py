"""Simulated slices kept for several steps, because making one costs a third of learning from it."""

from __future__ import annotations

import torch
from torch import Tensor

from training.mmhvae.slabs import SliceSource

#: Slices made together, from one seed.
CHUNK = 4


class Pool:
    """The newest `size` simulated slices; the oldest make room for new ones.

    Chunk number c is always made from the seed (`seed`, c), so a stopped run finds the
    same slices again from `made` alone.

    Parameters
    ----------
    size : slices kept; a multiple of `CHUNK`.
    """

    def __init__(self, simulator: SliceSource, size: int, seed: int) -> None:
        if size <= 0 or size % CHUNK:
            raise ValueError(f"the pool's size, {size}, must be a multiple of {CHUNK}")
        self.simulator, self.chunks, self.seed = simulator, size // CHUNK, seed
        self.made = 0
        self.images: list[Tensor] = []
        self.lesions: list[Tensor] = []
        self.slices: list[Tensor] = []

    def advance(self, made: int) -> None:
        """Bring the pool to where `made` chunks have been made, at least one poolful."""
        made = max(made, self.chunks)
        for number in range(max(self.made, made - self.chunks), made):
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
            images, lesion, slices = self.simulator.batch(CHUNK, generator)
            self.images.append(images.half())
            self.lesions.append(lesion.half())
            self.slices.append(slices)
        self.made = made
        self.images = self.images[-self.chunks :]
        self.lesions = self.lesions[-self.chunks :]
        self.slices = self.slices[-self.chunks :]

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Images, lesions and slice indices, as `SliceSource.batch` gives them."""
        chosen = torch.randint(len(self.images) * CHUNK, (n,), generator=generator).tolist()
        images = [self.images[i // CHUNK][i % CHUNK].float() for i in chosen]
        lesions = [self.lesions[i // CHUNK][i % CHUNK].float() for i in chosen]
        slices = [self.slices[i // CHUNK][i % CHUNK] for i in chosen]
        return torch.stack(images), torch.stack(lesions), torch.stack(slices)
