"""Simulated slices with their lesions: a bank to learn from, whole subjects to be tested on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from training.data.grids import GRID_SHAPE, MODALITIES
from training.data.label_maps import load_label_maps
from training.data.masks import load_lesion_masks
from training.data.multimodal import Visit, normalise
from training.data.splits import Part
from training.harness.machine import generator_of
from training.judges.lesions.bank import Bank, joined, stored
from training.judges.lesions.painting import HALF, add_rims, paint, regrey
from training.mmhvae import simulate
from training.mmhvae.simulate import NAMES, Simulator

#: Codes of the simulator's structures.
WHITE, STEM, VENTRICLE, LESION = (
    NAMES.index(name) + 1 for name in ("white", "stem", "ventricle", "lesion")
)
GREY = tuple(NAMES.index(name) + 1 for name in simulate.GREY)
#: Slices made together.
CHUNK = 4
#: Standard deviation of a subject's noise.
NOISE = 0.02
#: Streams of random numbers: the bank's, the subjects'.
BANK, SUBJECTS = 101, 102


class LesionSimulator(Simulator):
    """The simulator of slices that also says where it has put the lesions."""

    @classmethod
    def load(cls, data: Path, parts: Sequence[Part] = ("train",)) -> Self:
        """With the anatomy and the lesions of some parts of the split."""
        return cls(load_label_maps(data, parts=parts), load_lesion_masks(data, parts=parts))

    def bank(self, size: int, seed: int) -> Bank:
        """Random slices, those with lesions preferred; `size` is a multiple of `CHUNK`.

        One half has its lesions painted by the simulator, one look for all of a slice, the
        other by `painting.paint`.
        """
        return joined(
            [
                self._labelled(number % 2 == 0, generator_of(seed, number, BANK))
                for number in range(size // CHUNK)
            ]
        )

    def subject(self, who: int, whose: int, seed: int, most: int | None = None) -> Visit:
        """One whole person: the same deformation and contrast in all slices.

        Parameters
        ----------
        who, whose : index of the label map and of the lesion mask.
        most : neighbouring slices that are made, those with the most lesion; all if None.
        """
        x, y, z = GRID_SHAPE
        volumes = np.zeros((len(MODALITIES), z, x, y), np.float32)
        lesions = torch.zeros((z, x, y), dtype=torch.bool)
        for k in self._heights(who, whose, most):
            three = slice(k - 1, k + 2)
            generator = generator_of(seed, 0, SUBJECTS)
            groups = self.groups[who, three][None].float()
            lesion = self.lesions[whose, three][None].float()
            groups, lesion = self._deform(groups, lesion, generator)
            images = self._paint(groups, lesion, generator)
            images = simulate._blur(images, generator) * self._brain(groups, generator)[:, None]
            noise = NOISE * torch.randn(images.shape, generator=generator_of(seed, k, SUBJECTS))
            images = (images + noise).clamp_min(1e-3) * (images > 0)
            volumes[:, three] = images[0].numpy()
            lesions[three] = _share(groups, lesion)[0] > HALF
        normal = np.stack([normalise(volume, volume > 0) for volume in volumes])
        return Visit(
            f"{who}+{whose}",
            f"simulated {who}+{whose}",
            torch.from_numpy(normal).half(),
            torch.ones(len(MODALITIES), dtype=torch.bool),
            torch.from_numpy(normal.max(axis=0) > 0),
            lesions,
        )

    def _heights(self, who: int, whose: int, most: int | None) -> range:
        """Middles of triples of slices, one above the other."""
        usable = self.usable[who].clamp(1, GRID_SHAPE[2] - 2)
        low, high = int(usable.min()), int(usable.max())
        if most is not None and most < high - low:
            load = self.lesions[whose].sum(dim=(1, 2)).float()[low:high]
            low += int(load.unfold(0, most, 1).sum(dim=1).argmax())
            high = low + most
        return range(low + 1, high, 3)

    def _labelled(self, theirs: bool, generator: torch.Generator) -> Bank:
        groups, lesion, slices = self._with_lesions(generator)
        groups, lesion = self._deform(groups, lesion, generator)
        none = torch.zeros_like(lesion)
        images = self._paint(groups, lesion if theirs else none, generator)
        brain = self._brain(groups, generator)
        images = simulate._blur(images, generator) * brain[:, None]
        images = simulate._to_full_scale(images, generator)
        target = _share(groups, lesion)[:, 1] > HALF
        white = ((groups == WHITE) | (groups == STEM)).float()
        level = white_level(images, white)
        grey = torch.isin(groups, torch.tensor(GREY)).float()
        images = regrey(images, grey, level, generator)
        if not theirs:
            ventricle = (groups == VENTRICLE).float()
            images = add_rims(images, ventricle, white, level, generator)
            images, target = paint(images, lesion, white, level, generator)
        weight = (groups[:, 1] != LESION) & (brain[:, 1] > 0)
        present = torch.ones((CHUNK, len(MODALITIES)), dtype=torch.bool)
        return Bank(stored(images), present, target, weight, slices)

    def _with_lesions(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """As `_draw`, from more slices than needed: those with the most lesion and one other."""
        drawn = self._draw(4 * CHUNK, generator)
        most = drawn[1][:, 1].sum(dim=(1, 2)).argsort(descending=True)
        kept = torch.cat([most[: 2 * CHUNK : 2][: CHUNK - 1], most[-1:]])
        groups, lesions, slices = (part[kept] for part in drawn)
        return groups, lesions, slices


def white_level(images: Tensor, white: Tensor) -> Tensor:
    """(n, 4) mean intensity of white matter in each of (n, 4, 3, X, Y) images; 0 without any."""
    weight = white[:, None]
    return (images * weight).sum(dim=(2, 3, 4)) / weight.sum(dim=(2, 3, 4)).clamp_min(1)


def load_subjects(
    data: Path, parts: Sequence[Part], n: int, seed: int, most: int | None = None
) -> list[Visit]:
    """`n` simulated people; label maps and lesion masks of `parts` take turns.

    Neighbours of the two lists are combined anew in every round, so that no pair comes
    twice while there are others.
    """
    simulator = LesionSimulator.load(data, parts)
    heads, masks = len(simulator.groups), len(simulator.lesions)
    pairs = [(i % heads, (i + i // np.lcm(heads, masks)) % masks) for i in range(n)]
    return [simulator.subject(who, whose, seed + i, most) for i, (who, whose) in enumerate(pairs)]


def _share(groups: Tensor, lesion: Tensor) -> Tensor:
    """(n, 3, X, Y): where the simulator paints lesions, as `Simulator._paint` does."""
    return lesion * ((groups == WHITE) | (groups == STEM))
