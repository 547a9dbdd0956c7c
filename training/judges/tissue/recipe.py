"""How the tissue judge is trained: random crops, cross-entropy and Dice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_medsyn.models.judges.networks import ATLAS_STEP, TissueNet, TissueTopology
from training.data.healthy import Healthy
from training.data.splits import part_of
from training.harness import options
from training.harness.machine import Machine
from training.harness.recipe import Networks, Player, Recipe, Turn, one_cycle
from training.judges import people
from training.judges.tissue.augment import another_look
from training.judges.tissue.classes import TISSUES, UNLABELLED, tissues_of

#: Label that the losses leave out.
IGNORED = -1


@dataclass(frozen=True)
class TissueSettings(options.Settings):
    """Settings of the tissue judge.

    Parameters
    ----------
    crop : edge of the cubes that are learnt from, voxels; a multiple of 4.
    widths : channels at full, half and quarter resolution, separated by commas.
    atlas_shift : most voxels of the atlas (4 mm) that it is moved against the scan.
    looked_at : validation people whose Dice is measured on the way.
    """

    steps: int = 800
    batch: int = 2
    learning_rate: float = 4e-3
    ema: float = 0.98
    crop: int = 56
    widths: str = "16,32,48"
    atlas_shift: int = 1
    looked_at: int = 4


@dataclass(frozen=True, eq=False)
class Crops:
    """Examples of one step.

    Parameters
    ----------
    t1 : (B, 1, n, n, n) normalised intensity as some scanner would show it.
    atlas : (B, classes, n / 2, n / 2, n / 2).
    target : (B, n, n, n) int64, class index or `IGNORED`.
    """

    t1: Tensor
    atlas: Tensor
    target: Tensor


class TissueRecipe(Recipe[Crops]):
    """Train the tissue judge on the judges' people."""

    Settings: ClassVar[type[options.Settings]] = TissueSettings

    def __init__(self, settings: TissueSettings, machine: Machine, folk: Healthy) -> None:
        self.settings, self.machine, self.folk = settings, machine, folk
        x, y, z = folk.labels.shape[1:]
        first, second, third = (int(width) for width in settings.widths.split(","))
        self.topology = TissueTopology(len(TISSUES), (first, second, third), (x, y, z))
        self.tissues = tissues_of(folk.labels)
        network = TissueNet(self.topology)
        network.atlas.copy_(torch.from_numpy(atlas_of(self.tissues, self.topology.padded)[None]))
        network = network.to(machine.device)
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(
            network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        schedule = one_cycle(settings.steps)
        self.players = {"judge": Player(network, optimiser, schedule, settings.ema, settings.clip)}

    @classmethod
    def open(cls, settings: Any, machine: Machine, data: Path, cache: Path) -> TissueRecipe:
        """The recipe on the judges' people; bias fields are kept in `cache`."""
        return cls(settings, machine, people.load(data, people.judges_people(), cache))

    def batch(self, step: int, generator: torch.Generator) -> Crops:
        """Random cubes of random people, each as another scanner would show it."""
        del step
        cubes = [self._cube(generator) for _ in range(self.settings.batch)]
        t1, atlas, target = (torch.stack(part) for part in zip(*cubes, strict=True))
        return Crops(t1, atlas, target)

    def turns(self, step: int, batch: Crops) -> Iterator[Turn]:
        """One step down cross-entropy and 1 - Dice."""
        del step
        device = self.machine.device
        target = batch.target.to(device)
        with self.machine.autocast():
            t1 = batch.t1.to(device, memory_format=torch.channels_last_3d)
            logits = self.players["judge"].network(t1, batch.atlas.to(device))
        entropy = F.cross_entropy(logits.float(), target, ignore_index=IGNORED)
        overlap = soft_dice(logits.float(), target)
        yield Turn(
            "judge", entropy + (1 - overlap), {"cross_entropy": entropy, "soft_dice": overlap}
        )

    def describe(self) -> dict[str, Any]:
        """Architecture and people."""
        architecture = {
            "classes": self.topology.classes,
            "widths": list(self.topology.widths),
            "shape": list(self.topology.shape),
        }
        return {"architecture": architecture, "people": list(self.folk.ids)}

    def validate(self, networks: Networks) -> dict[str, float]:
        """Dice of each tissue, mean over some validation people (seen in training, too)."""
        network = networks["judge"]
        assert isinstance(network, TissueNet)
        network.eval()
        seen = [i for i, p in enumerate(self.folk.ids) if part_of(p) == "validation"]
        rows = []
        for i in seen[: self.settings.looked_at]:
            with self.machine.autocast():
                shares = network.shares(torch.from_numpy(self.folk.volume(i)))
            rows.append(dice(shares.argmax(dim=0).cpu().numpy() + 1, self.tissues[i]))
        if not rows:
            return {}
        means = np.mean(rows, axis=0)
        return {f"dice_{t.key}": float(m) for t, m in zip(TISSUES, means, strict=True)}

    def _cube(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """T1, atlas and target of one cube, perhaps mirrored left to right."""
        n = self.settings.crop
        i = int(torch.randint(len(self.folk), (1,), generator=generator))
        room = [(size - n) // ATLAS_STEP for size in self.topology.padded]
        low = [int(torch.randint(r + 1, (1,), generator=generator)) for r in room]
        cut = tuple(slice(ATLAS_STEP * k, ATLAS_STEP * k + n) for k in low)
        missing = [p - s for p, s in zip(self.topology.padded, self.topology.shape, strict=True)]
        edge = [(0, gap) for gap in missing]
        t1 = torch.from_numpy(np.pad(self.folk.volume(i), edge)[cut])[None]
        drawn = np.pad(self.tissues[i], edge)[cut].astype(np.int64)
        target = torch.from_numpy(np.where(drawn == UNLABELLED, IGNORED, drawn - 1))
        atlas = self._atlas(low, n // ATLAS_STEP, generator)
        t1 = another_look(t1, generator)
        if bool(torch.randint(2, (1,), generator=generator)):
            return t1.flip(1), atlas.flip(1), target.flip(0)
        return t1, atlas, target

    def _atlas(self, low: list[int], n: int, generator: torch.Generator) -> Tensor:
        """The atlas of a cube, a little off: registration is never perfect."""
        network = self.players["judge"].network
        assert isinstance(network, TissueNet)
        most = self.settings.atlas_shift
        shift = torch.randint(-most, most + 1, (3,), generator=generator).tolist()
        rows = [
            torch.arange(k + s, k + s + n).clamp(0, size - 1)
            for k, s, size in zip(low, shift, network.atlas.shape[2:], strict=True)
        ]
        x, y, z = rows
        return network.atlas[0].cpu()[:, x][:, :, y][:, :, :, z]


def atlas_of(tissues: NDArray[np.uint8], padded: tuple[int, int, int]) -> NDArray[np.float32]:
    """How often each tissue is where, at half resolution, the mean of both hemispheres' sides.

    Parameters
    ----------
    tissues : (N, X, Y, Z) codes.
    padded : sizes to pad to, even.

    Returns
    -------
    (classes, X / 2, Y / 2, Z / 2) float32 in [0, 1].
    """
    edge = [(0, p - s) for p, s in zip(padded, tissues.shape[1:], strict=True)]
    atlas = np.empty((len(TISSUES), *(size // ATLAS_STEP for size in padded)), np.float32)
    for k, tissue in enumerate(TISSUES):
        often = (tissues == tissue.code).mean(axis=0, dtype=np.float32)
        often = np.pad((often + often[::-1]) / 2, edge)
        a, b, c = atlas.shape[1:]
        atlas[k] = often.reshape(a, 2, b, 2, c, 2).mean(axis=(1, 3, 5))
    return atlas


def soft_dice(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over the classes that are there of 2 |P T| / (|P| + |T|), a scalar.

    Parameters
    ----------
    logits : (B, C, X, Y, Z).
    target : (B, X, Y, Z) class index or `IGNORED`.
    """
    known = target != IGNORED
    shares = logits.softmax(dim=1) * known[:, None]
    truth = F.one_hot(target.clamp(min=0), logits.shape[1]).movedim(-1, 1) * known[:, None]
    axes = (0, 2, 3, 4)
    size = truth.sum(axes)
    overlap = 2 * (shares * truth).sum(axes) / (shares.sum(axes) + size).clamp(min=1)
    return overlap[size > 0].mean() if bool((size > 0).any()) else overlap.sum() * 0


def dice(codes: NDArray[np.integer], truth: NDArray[np.uint8]) -> list[float]:
    """Dice of each tissue where the truth is labelled; 1 where neither has any.

    Parameters
    ----------
    codes, truth : the same shape; tissue codes.
    """
    known = truth != UNLABELLED
    values = []
    for tissue in TISSUES:
        ours, theirs = (codes == tissue.code) & known, truth == tissue.code
        both = int(ours.sum()) + int(theirs.sum())
        values.append(2 * int((ours & theirs).sum()) / both if both else 1.0)
    return values
