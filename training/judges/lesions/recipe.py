"""How the lesion judge is trained: crops of slices, modalities left out, cross-entropy and Dice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_medsyn.models.judges.lesions import LesionNet, LesionTopology, place_in_head
from training.data.grids import GRID_SHAPE, MODALITIES
from training.data.multimodal import Visit, load_visits
from training.data.sources import data_hash
from training.harness import options
from training.harness.figures import mosaic
from training.harness.machine import Machine
from training.harness.recipe import Networks, Picture, Player, Recipe, Turn, one_cycle
from training.judges.lesions.augment import another_look
from training.judges.lesions.bank import Bank, joined
from training.judges.lesions.real import PaintedSlices, canvases
from training.judges.lesions.scoring import drawn, overlap, volumes
from training.judges.lesions.simulated import LesionSimulator, load_subjects

#: Share of examples whose crop is centred on a lesion, where there is one.
CENTRED = 0.7
#: Share of examples that are shown all modalities, and that are shown T1 alone.
ALL, T1_ALONE = 0.25, 0.1
#: Voxels that are added to both sides of the Dice coefficient.
SMOOTH = 20.0


@dataclass(frozen=True)
class LesionSettings(options.Settings):
    """Settings of the lesion judge.

    Parameters
    ----------
    crop : edge of the squares that are learnt from, voxels; a multiple of 8.
    widths : channels at full, half, quarter, … resolution, separated by commas.
    simulated : simulated slices that are learnt from, a multiple of 4.
    painted : real slices with painted lesions that are learnt from.
    looked_at : simulated validation people whose Dice is measured on the way.
    """

    steps: int = 1200
    batch: int = 8
    learning_rate: float = 3e-3
    ema: float = 0.99
    crop: int = 96
    widths: str = "16,32,64,96"
    simulated: int = 480
    painted: int = 480
    looked_at: int = 3


@dataclass(frozen=True, eq=False)
class Crops:
    """Examples of one step.

    Parameters
    ----------
    slices : (B, 4, 3, n, n) as a scanner would show them, zeros where left out.
    present : (B, 4) float32, 1 where shown.
    place : (B, 3, n, n) of `place_in_head`.
    target : (B, 1, n, n) float32, 1 in lesions.
    weight : (B, 1, n, n) float32, 0 where it is not known.
    """

    slices: Tensor
    present: Tensor
    place: Tensor
    target: Tensor
    weight: Tensor


class LesionRecipe(Recipe[Crops]):
    """Train the lesion judge on simulated and on real slices with lesions painted in."""

    Settings: ClassVar[type[options.Settings]] = LesionSettings

    def __init__(
        self,
        settings: LesionSettings,
        machine: Machine,
        bank: Bank,
        subjects: Sequence[Visit] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings, self.machine = settings, machine
        self.bank, self.subjects = bank, subjects
        self.facts = dict(facts or {})
        widths = tuple(int(width) for width in settings.widths.split(","))
        self.topology = LesionTopology(MODALITIES, widths)
        self.place = place_in_head(GRID_SHAPE)
        network = LesionNet(self.topology).to(machine.device)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(
            network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        schedule = one_cycle(settings.steps)
        self.players = {"judge": Player(network, optimiser, schedule, settings.ema, settings.clip)}

    @classmethod
    def open(cls, settings: Any, machine: Machine, data: Path, cache: Path) -> LesionRecipe:
        """The recipe on the train part; `cache` is not needed."""
        del cache
        simulator = LesionSimulator.load(data, ("train",))
        visits = load_visits(data, parts=("train",))
        painted = PaintedSlices(canvases(visits), simulator.lesions)
        banks = [
            simulator.bank(settings.simulated, settings.seed),
            painted.bank(settings.painted, settings.seed),
        ]
        subjects = load_subjects(data, ("validation",), settings.looked_at, settings.seed, most=30)
        facts = {"data_hash": data_hash(data), "visits": [v.name for v in visits]}
        return cls(settings, machine, joined(banks), subjects, facts)

    def batch(self, step: int, generator: torch.Generator) -> Crops:
        """Crops of random slices, each with some of its modalities."""
        del step
        examples = [self._example(generator) for _ in range(self.settings.batch)]
        slices, present, *others = (torch.stack(part) for part in zip(*examples, strict=True))
        slices = another_look(slices, generator) * present[:, :, None, None, None]
        return Crops(slices, present, *others)

    def turns(self, step: int, batch: Crops) -> Iterator[Turn]:
        """One step down cross-entropy and 1 - Dice, where lesions are known."""
        del step
        device = self.machine.device
        with self.machine.autocast():
            logits = self.players["judge"].network(
                batch.slices.to(device), batch.present.to(device), batch.place.to(device)
            )
        logits, target = logits.float(), batch.target.to(device)
        weight = batch.weight.to(device)
        entropy = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
        entropy = entropy / weight.sum().clamp_min(1)
        dice = soft_dice(logits.sigmoid() * weight, target * weight)
        loss = 5 * entropy + (1 - dice)
        yield Turn("judge", loss, {"cross_entropy": entropy, "soft_dice": dice})

    def describe(self) -> dict[str, Any]:
        """Architecture, data hash and visits."""
        architecture = {
            "modalities": list(self.topology.modalities),
            "widths": list(self.topology.widths),
        }
        return {"architecture": architecture, **self.facts}

    def validate(self, networks: Networks) -> dict[str, float]:
        """Dice on simulated validation people at 0.5, with all modalities and with two."""
        network = evaluated(networks)
        found: dict[str, list[float]] = {}
        for subject in self.subjects:
            for name, given in (("all", MODALITIES), ("t1_t2", ("T1", "T2")), ("t1", ("T1",))):
                with self.machine.autocast():
                    lesions = network.probability(volumes(subject, given)) > 0.5
                found.setdefault(f"dice_{name}", []).append(overlap(lesions, drawn(subject)))
        return {name: mean(values) for name, values in found.items()}

    def pictures(self, networks: Networks) -> dict[str, Picture]:
        """Of each validation person the slice with most lesion: FLAIR, truth, probability."""
        network, rows = evaluated(networks), []
        for subject in self.subjects:
            truth, scans = drawn(subject), volumes(subject)
            k = int(truth.sum(axis=(0, 1)).argmax())
            shown = (scans["FLAIR"], truth, network.probability(scans))
            rows.append([np.asarray(v[:, :, k], np.float32).T[::-1, ::-1] for v in shown])
        return {"subjects": mosaic(rows)} if rows else {}

    def _example(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Slices, flags, place, target and weight of one crop."""
        bank = self.bank
        i = int(torch.randint(len(bank), (1,), generator=generator))
        images, k = bank.image(i), int(bank.slices[i])
        target, weight, present = bank.target[i], bank.weight[i], bank.present[i]
        cut = window(target, images[:, 1].amax(dim=0) > 0, self.settings.crop, generator)
        planes = (images, self.place[k], target[None].float(), weight[None].float())
        images, place, target, weight = (p[..., cut[0], cut[1]] for p in planes)
        if _chance(0.5, generator):
            images, place, target, weight = (p.flip(-2) for p in (images, place, target, weight))
        return images, draw_shown(present, generator), place, target, weight


def evaluated(networks: Networks) -> LesionNet:
    """The judge's network in evaluation mode."""
    network = networks["judge"]
    assert isinstance(network, LesionNet)
    return network.eval()


def soft_dice(odds: Tensor, target: Tensor) -> Tensor:
    """Dice coefficient of probabilities (Milletari et al. 2016, eq. 2), mean over examples.

    Each example counts as much as another: from few modalities lesions are hard to see, and
    of a whole batch's overlap they would be too small a part to be learnt.  `SMOOTH` keeps
    crops with hardly any lesion from swinging between 0 and 1.

    Parameters
    ----------
    odds, target : (B, 1, X, Y) in [0, 1].
    """
    both = 2 * (odds * target).sum(dim=(1, 2, 3))
    sizes = (odds**2).sum(dim=(1, 2, 3)) + (target**2).sum(dim=(1, 2, 3))
    return ((both + SMOOTH) / (sizes + SMOOTH)).mean()


def draw_shown(present: Tensor, generator: torch.Generator) -> Tensor:
    """(4,) float32: which of the modalities that are there are shown; at least one."""
    if _chance(ALL, generator):
        return present.float()
    if present[0] and _chance(T1_ALONE, generator):
        return torch.tensor([1.0, 0.0, 0.0, 0.0])
    there = torch.nonzero(present)[:, 0]
    order = there[torch.randperm(len(there), generator=generator)]
    size = int(torch.randint(1, len(there) + 1, (1,), generator=generator))
    shown = torch.zeros(len(present))
    shown[order[:size]] = 1.0
    return shown


def window(
    target: Tensor, inside: Tensor, side: int, generator: torch.Generator
) -> tuple[slice, slice]:
    """A square near a random lesion voxel, or near a random brain voxel.

    Parameters
    ----------
    target, inside : (X, Y) bool, lesions and brain.
    """
    wanted = target if target.any() and _chance(CENTRED, generator) else inside
    places = torch.nonzero(wanted if wanted.any() else torch.ones_like(wanted))
    centre = places[torch.randint(len(places), (1,), generator=generator)][0]
    away = torch.randint(-side // 3, side // 3 + 1, (2,), generator=generator)
    cuts = []
    for middle, size in zip((centre + away).tolist(), target.shape, strict=True):
        first = min(max(middle - side // 2, 0), size - side)
        cuts.append(slice(first, first + side))
    return cuts[0], cuts[1]


def _chance(probability: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < probability
