"""What every network that imputes shares: batches, loss, validation, sample pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any, Self

import torch
from torch import Tensor, nn

from training.compare.imputers import Imputer
from training.compare.scoring import cases, fidelity_of, planes, scored_slices
from training.data.masks import load_lesion_masks
from training.data.multimodal import Visit, load_visits
from training.data.sources import data_hash
from training.data.splits import Part
from training.harness.figures import mosaic
from training.harness.machine import Machine
from training.harness.recipe import Networks, Picture, Player, Recipe, Turn, one_cycle
from training.mmhvae import losses
from training.mmhvae.batches import Batch, Stream, draw_subset
from training.mmhvae.config import MODALITIES, Config
from training.mmhvae.scans import RealSlices
from training.mmhvae.simulate import Simulator, on_grid
from training.mmhvae.slabs import Either, Slabs, SliceSource
from training.simulator.simulator import Simulator as Heads


@dataclass(frozen=True, eq=False)
class Guess:
    """What a network makes of one batch.

    Parameters
    ----------
    mean : modality to (n, 1, X, Y) in normalised intensity.
    log_scale : modality to (n, 1, X, Y), log of the Laplace scale.
    penalty : scalar added to the loss, such as a divergence.
    terms : for the log.
    """

    mean: Mapping[str, Tensor]
    log_scale: Mapping[str, Tensor]
    penalty: Tensor | float = 0.0
    terms: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Material:
    """What is trained on, and what the run is validated with.

    Parameters
    ----------
    simulator, real : either may be None if ``config.real`` is 1 or 0.
    validation : visits of the validation part.
    data_hash : of the released files.
    """

    simulator: SliceSource | None = None
    real: RealSlices | None = None
    validation: Sequence[Visit] = ()
    data_hash: str = ""

    @classmethod
    def load(cls, config: Config, data: Path) -> Material:
        """The training part for training, the validation part for figures."""
        parts: tuple[Part, ...] = ("train",)
        simulator: SliceSource | None = None
        if config.real < 1:
            simulator = Simulator.load(data, parts, config.laden)
            if config.heads > 0:
                heads = Heads(data, parts=parts, sources=("synthseg",))
                simulator = Either(simulator, Slabs(heads), config.heads)
        real = None
        if config.real > 0:
            masks = on_grid(load_lesion_masks(data, parts=parts)) if config.painted > 0 else None
            real = RealSlices(load_visits(data, parts=parts), masks, config.painted)
        validation = load_visits(data, parts=("validation",))
        return cls(simulator, real, validation, data_hash(data))


class ImputationRecipe(Recipe[Batch]):
    """A network that reads some modalities and gives all of them, with their error.

    The loss is L1, squared error and 1 - SSIM over the brain and a Laplace likelihood
    whose scale learns how wrong the image is without moving it (`losses`).
    """

    Settings = Config

    def __init__(self, config: Config, machine: Machine, material: Material) -> None:
        self.config, self.machine, self.material = config, machine, material
        network = self.build().to(machine.device)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.network = network
        self.players = {
            "network": Player(network, optimiser, one_cycle(config.steps), config.ema, config.clip)
        }
        self.stream = Stream(config, material.simulator, material.real, self.patch, self.draw_fed)

    @classmethod
    def open(cls, settings: Config, machine: Machine, data: Path, cache: Path) -> Self:
        """The recipe on the committed split of `data`."""
        del cache  # `training.data` keeps its own
        return cls(settings, machine, Material.load(settings, data))

    # ---- what a network adds ----------------------------------------------------------

    @abstractmethod
    def build(self) -> nn.Module:
        """A new network."""

    @property
    @abstractmethod
    def patch(self) -> int:
        """Pixels that the network folds into channels, along each axis."""

    @property
    @abstractmethod
    def architecture(self) -> Mapping[str, Any]:
        """What builds the same network again, as JSON values."""

    @abstractmethod
    def guess(self, step: int, batch: Batch) -> Guess:
        """All modalities that are present, made from those that are fed."""

    @abstractmethod
    def imputer(self, network: nn.Module) -> Imputer:
        """The network as it is used; for validation, without samples."""

    def draw_fed(self, present: Sequence[bool], generator: torch.Generator) -> list[int]:
        """Indices of the modalities that are fed in a step, of those that are present."""
        return draw_subset(present, generator)

    # ---- the recipe -------------------------------------------------------------------

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """Slices and what is fed of them."""
        return self.stream.batch(step, generator)

    def turns(self, step: int, batch: Batch) -> Iterator[Turn]:
        """One turn: the network's."""
        batch = batch.to(self.machine.device)
        guess = self.guess(step, batch)
        loss, terms = self.loss(batch, guess)
        yield Turn("network", loss, named(batch, {"loss": loss, **terms, **guess.terms}))

    def loss(self, batch: Batch, guess: Guess) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over the modalities that are there, and the L1 error of those not fed."""
        c, inside = self.config, batch.inside
        total = torch.zeros((), device=inside.device)
        weight_of = losses.lesion_weight(inside, batch.lesion, c.lesion_weight)
        missing, astray = [], []
        for i in batch.present:
            made, log_scale = (x[MODALITIES[i]].float() for x in (guess.mean, guess.log_scale))
            target = wanted(batch, i)
            term = losses.reconstruction(
                made,
                target * inside,
                weight_of,
                structure=c.structure_weight,
                square=c.square_weight,
            )
            scale = losses.laplace(log_scale, made - target, inside)
            weight = c.fed_weight if i in batch.fed else 1.0
            total = total + weight * (term + c.scale_weight * scale)
            if i not in batch.fed:
                error = (made - target).detach().abs()
                missing.append((error * inside).sum() / inside.sum().clamp_min(1))
                astray.append((error * batch.lesion).sum() / batch.lesion.sum().clamp_min(1))
        terms = {"l1": torch.stack(missing).mean()} if missing else {}
        if astray and bool(batch.lesion.any()):
            terms["lesion_l1"] = torch.stack(astray).mean()
        return total / len(batch.present) + guess.penalty, terms

    def describe(self) -> dict[str, Any]:
        """Architecture and data hash."""
        return {"architecture": dict(self.architecture), "data_hash": self.material.data_hash}

    def validate(self, networks: Networks) -> dict[str, float]:
        """Means over visits and targets: PSNR and SSIM, from the others and from T1 alone."""
        imputer = self.imputer(networks["network"])
        found: dict[str, list[float]] = {}
        for visit in self.material.validation:
            slices = scored_slices(visit, self.config.look_slices)
            for case in cases(visit, singles=()):
                made = imputer(visit, case.present, slices)
                for target in case.targets:
                    score = fidelity_of(visit, target, made.mean[target], slices)
                    found.setdefault(f"psnr_{case.name}", []).append(score.psnr)
                    found.setdefault(f"ssim_{case.name}", []).append(score.ssim)
        return {name: mean(values) for name, values in found.items()}

    def pictures(self, networks: Networks) -> dict[str, Picture]:
        """A slice of each validation visit: as scanned, from the others, from T1 alone."""
        imputer = self.imputer(networks["network"])
        drawn = {}
        for visit in self.material.validation:
            slices = scored_slices(visit, 1)
            middle = [slices[len(slices) // 2]]
            rows = {name: [] for name in ("scanned", "others", "T1")}  # type: dict[str, list[Picture]]
            for case in cases(visit, singles=()):
                made = imputer(visit, case.present, middle)
                for target in case.targets:
                    rows[case.name].append(upright(made.mean[target][:, :, 0]))
                    if case.name == "others":
                        rows["scanned"].append(upright(planes(visit, target, middle)[:, :, 0]))
            drawn[visit.name] = mosaic([row for row in rows.values() if row])
        return drawn


def wanted(batch: Batch, modality: int) -> Tensor:
    """(n, 1, X, Y): a modality that was fed as fed, a missing one as scanned."""
    if modality in batch.fed:
        return batch.inputs[:, modality, 1][:, None]
    return batch.targets[:, modality][:, None]


def named(batch: Batch, terms: Mapping[str, Tensor | float]) -> dict[str, Tensor | float]:
    """The terms by where the slices come from: real ones are harder."""
    return {f"{batch.source}_{name}": value for name, value in terms.items()}


def upright(plane: Picture) -> Picture:
    """(X, Y) in RAS+ as a picture: anterior up, the patient's right on the left side."""
    return plane.T[::-1, ::-1]
