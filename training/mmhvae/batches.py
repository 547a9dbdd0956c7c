"""What one step is trained on: real or simulated slices, and which modalities are fed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_medsyn.models.mmhvae import positions
from training.mmhvae.config import GRID_SHAPE, MODALITIES, Config
from training.mmhvae.pool import CHUNK, Pool
from training.mmhvae.scans import RealSlices, vary
from training.mmhvae.slabs import SliceSource

FLAIR = MODALITIES.index("FLAIR")
#: Present modalities, as flags, to the indices of those that are fed.
DrawFed = Callable[[Sequence[bool], torch.Generator], list[int]]


@dataclass(frozen=True, eq=False)
class Batch:
    """Slices of one set of modalities.

    Parameters
    ----------
    inputs : (n, 4, 3, X, Y) with intensities changed at random; 0 outside the brain.
    targets : (n, 4, X, Y) the middle slices as scanned.
    present : indices of the modalities that there are: those that are scored.
    fed : indices of those that may be read.
    inside : (n, 1, X, Y) 1 in the brain, 0 outside.
    lesion : (n, 1, X, Y) in [0, 1], how much of each voxel is known to be lesion.
    where : (n, 3, X / patch, Y / patch) place in the head, in [-1, 1].
    source : "real" or "sim".
    """

    inputs: Tensor
    targets: Tensor
    present: list[int]
    fed: list[int]
    inside: Tensor
    lesion: Tensor
    where: Tensor
    source: str

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        if device.type == "cpu":
            return self
        moved = {
            name: getattr(self, name).pin_memory().to(device, non_blocking=True)
            for name in ("inputs", "targets", "inside", "lesion", "where")
        }
        return replace(self, **moved)


def draw_subset(present: Sequence[bool], generator: torch.Generator) -> list[int]:
    """Which of the modalities that are there the network may read in this step.

    All but one, T1 alone, another one alone, or any subset: the cases that users meet.
    """
    there = [i for i, p in enumerate(present) if p]
    kind = float(torch.rand((), generator=generator))
    order = [there[i] for i in torch.randperm(len(there), generator=generator).tolist()]
    if kind < 0.4 and len(there) > 1:
        return order[:-1]
    if kind < 0.65 and 0 in there:
        return [0]
    if kind < 0.8:
        return order[:1]
    size = int(torch.randint(1, len(there) + 1, (), generator=generator))
    return order[:size]


def draw_all_but_one(present: Sequence[bool], generator: torch.Generator) -> list[int]:
    """All modalities that are there but one: no subset is ever sampled."""
    there = [i for i, p in enumerate(present) if p]
    order = [there[i] for i in torch.randperm(len(there), generator=generator).tolist()]
    return order[:-1] or order


class Stream:
    """The batches of a run, by step.

    Parameters
    ----------
    simulator, real : either may be None if ``config.real`` is 1 or 0.
    patch : pixels that the network folds into channels, along each axis.
    """

    def __init__(
        self,
        config: Config,
        simulator: SliceSource | None,
        real: RealSlices | None,
        patch: int,
        draw_fed: DrawFed = draw_subset,
    ) -> None:
        if config.pool and config.workers:
            raise ValueError("a pool is filled in order: give --pool 0 or --workers 0")
        self.config, self.simulator, self.real = config, simulator, real
        self.patch, self.draw_fed = patch, draw_fed
        self.pool = None
        if simulator is not None and config.pool:
            self.pool = Pool(simulator, config.pool, config.seed)

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """The batch of one step, which follows from `generator` and the seed alone."""
        c, g = self.config, generator
        source = "sim"
        if self.real is not None and float(torch.rand((), generator=g)) < c.real:
            source = "real"
            inputs, targets, present, mask, lesion, slices = self.real.batch(c.batch, g)
        else:
            images, lesion, slices = self._simulated(step, g)
            inputs, targets = vary(images, g), images[:, :, 1]
            present = torch.ones(len(MODALITIES), dtype=torch.bool)
            mask = targets.sum(dim=1) > 0
        fed = self._hide(self.draw_fed(present.tolist(), g), g)
        where = positions(slices, (*mask.shape[1:], GRID_SHAPE[2]), self.patch)
        if c.crop and step < (1 - c.whole) * c.steps:
            corners = draw_windows(mask, c.crop, self.patch, g)
            inputs, targets, mask, lesion = (
                cut(x, corners, c.crop) for x in (inputs, targets, mask, lesion)
            )
            folded = [(x // self.patch, y // self.patch) for x, y in corners]
            where = cut(where, folded, c.crop // self.patch)
        there = [i for i, p in enumerate(present.tolist()) if p]
        inside, lesion = mask[:, None].float(), lesion[:, None]
        return Batch(inputs, targets, there, fed, inside, lesion, where, source)

    def _hide(self, fed: list[int], generator: torch.Generator) -> list[int]:
        """What is fed, without FLAIR in a share of the steps, if anything else is left."""
        share = self.config.hidden
        if not share or float(torch.rand((), generator=generator)) >= share:
            return fed
        return [i for i in fed if i != FLAIR] or fed

    def _simulated(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        if self.simulator is None:
            raise ValueError("there is nothing to simulate from; give --real 1")
        if self.pool is None:
            return self.simulator.batch(self.config.batch, generator)
        self.pool.advance(self.pool.chunks + int(step * self.config.fresh / CHUNK))
        return self.pool.draw(self.config.batch, generator)


def draw_windows(
    mask: Tensor, side: int, patch: int, generator: torch.Generator
) -> list[tuple[int, int]]:
    """First pixel of a square window around a random brain pixel of each slice.

    A multiple of `patch`, so that it can be found again after the network has folded
    pixels.

    Parameters
    ----------
    mask : (n, X, Y) bool, brain.
    """
    corners = []
    for one in mask:
        brain = torch.nonzero(one if one.any() else torch.ones_like(one))
        centre = brain[torch.randint(len(brain), (), generator=generator)].tolist()
        x, y = (
            min(max(c - side // 2, 0), n - side) for c, n in zip(centre, one.shape, strict=True)
        )
        corners.append((x // patch * patch, y // patch * patch))
    return corners


def cut(images: Tensor, corners: Sequence[tuple[int, int]], side: int) -> Tensor:
    """(n, …, side, side): the window of each of (n, …, X, Y) images."""
    windows = [
        image[..., x : x + side, y : y + side]
        for image, (x, y) in zip(images, corners, strict=True)
    ]
    return torch.stack(windows)
