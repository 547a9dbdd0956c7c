"""MSSG-mini: discriminator and generator in turn, on slices of all sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_medsyn.models.mssg.stack import as_picture, labels, positions
from napari_medsyn.models.stylegan2.network import Generator
from training.data.sources import data_hash
from training.harness.machine import Machine
from training.harness.recipe import Networks, Picture, Player, Recipe, Turn
from training.mssg.stack import losses
from training.mssg.stack.augment import augmented
from training.mssg.stack.config import BETA, FEATURES, LAYOUT, Config
from training.mssg.stack.discriminator import Discriminator
from training.mssg.stack.drawing import draw, mixed
from training.mssg.stack.loading import load_people
from training.mssg.stack.people import Examples, People, examples
from training.mssg.stack.pictures import sheets
from training.mssg.stack.slices import SLICES, STORED_ONE


@dataclass(frozen=True, eq=False)
class Batch:
    """Real slices, and whom to make: once for each network's turn."""

    real: Examples
    made: tuple[Examples, Examples]


class StackRecipe(Recipe[Batch]):
    """Train MSSG-mini, a conditional StyleGAN2 for single axial slices, on several sources."""

    Settings = Config

    def __init__(
        self, config: Config, machine: Machine, sources: Sequence[People], content: str = ""
    ) -> None:
        self.config, self.machine, self.sources = config, machine, sources
        self._content = content
        recorded = torch.stack([people.known.any(dim=0) for people in sources]).any(dim=0)
        self.taught = torch.cat([recorded, torch.ones(1, dtype=torch.bool)])
        self.generator = Generator(LAYOUT)
        self.discriminator = Discriminator(FEATURES, len(losses.HEADS))
        for name, parameter in self.generator.named_parameters():
            # Noise that is the same in every slice would lie on a stack like dust on a lens.
            parameter.requires_grad_(not name.endswith("noise_strength"))
        for network in (self.generator, self.discriminator):
            # A third faster on a CPU.
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Lazy regularisation shortens the optimiser's memory alike (Karras et al. 2020, B).
        share = config.r1_every / (config.r1_every + 1)
        rate, of_critic = config.learning_rate, config.learning_rate * config.discriminator_rate
        generator = Player(self.generator, _adam(self.generator, rate, config.momentum, BETA))
        generator.ema, generator.clip = config.ema, config.clip
        critic = _adam(self.discriminator, of_critic * share, 0.0, BETA**share)
        discriminator = Player(self.discriminator, critic, clip=config.clip)
        self.players = {"generator": generator, "discriminator": discriminator}

    @classmethod
    def open(cls, settings: Any, machine: Machine, data: Path, cache: Path) -> StackRecipe:
        """The recipe on the training people of the sources in `data`."""
        sources = load_people(data, cache, settings.sources, settings.seed)
        return cls(settings, machine, sources, data_hash(data))

    def describe(self) -> dict[str, Any]:
        """Sizes and number of people."""
        return {
            "features": list(FEATURES),
            "people": [len(people) for people in self.sources],
            "data_hash": self._content,
        }

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """As many slices of each source."""
        del step
        each = self.config.batch // len(self.sources)
        wanted = [examples(self.sources, each, generator, look=False) for _ in range(2)]
        return Batch(examples(self.sources, each, generator), (wanted[0], wanted[1]))

    def turns(self, step: int, batch: Batch) -> Iterator[Turn]:
        """The discriminator's turn, its regulariser's every few steps, the generator's."""
        c = self.config
        pictures = as_picture(batch.real.pictures.float() / STORED_ONE)
        is_warming = step < c.warm_up
        if is_warming:
            yield self._reconstruction_turn(pictures, batch.real, c.reconstruction_weight)
        if step < c.warm_up - c.head_start:
            return
        done = max(0.0, (step - c.warm_up) / max(1, c.steps - c.warm_up))
        weight = c.label_weight * losses.ramp(done, c.ramp_from, c.ramp_to)
        with torch.no_grad():
            fakes, _ = self._made(batch.made[0])
        self.discriminator.requires_grad_(True)
        shown = augmented(pictures)
        yield self._discriminator_turn(shown, augmented(fakes), batch.real, weight)
        if step % c.r1_every == 0:
            penalty = losses.r1(self.discriminator, augmented(pictures))
            loss = c.r1_weight * c.r1_every * penalty
            yield Turn("discriminator", loss, {"r1": penalty})
        self.discriminator.requires_grad_(False)
        if not is_warming:
            yield self._generator_turn(batch.made[1], weight)
            if c.anchor_every and step % c.anchor_every == 0:
                yield self._reconstruction_turn(pictures, batch.real, c.anchor_weight)

    def _reconstruction_turn(self, pictures: Tensor, wanted: Examples, weight: float) -> Turn:
        c = labels(wanted.covariates, positions(wanted.slices, SLICES))
        w = self.generator.mapping(wanted.latents, c)
        with self.machine.autocast():
            made = draw(self.generator, w[:, None].expand(-1, LAYOUT.styles, -1))
        loss = (made.float() - pictures).abs().mean()
        return Turn("generator", weight * loss, {"reconstruction": loss})

    def _discriminator_turn(
        self, reals: Tensor, fakes: Tensor, wanted: Examples, weight: float
    ) -> Turn:
        with self.machine.autocast():
            logits, said = self.discriminator(reals)
            fake_logits, _ = self.discriminator(fakes)
        heads = losses.by_head(said, _targets(wanted), _known(wanted))
        told = losses.real(logits) + losses.made(fake_logits)
        terms = {f"D {name}": loss for name, loss in heads.items()}
        signs = {"D real": logits.mean(), "D made": fake_logits.mean()}
        return Turn(
            "discriminator", told + weight * losses.total(heads), {"D": told, **signs, **terms}
        )

    def _generator_turn(self, wanted: Examples, weight: float) -> Turn:
        pictures, w = self._made(wanted)
        with self.machine.autocast():
            logits, said = self.discriminator(augmented(pictures))
        # All labels, but those that no source has taught the heads, as in a baseline.
        taught = self.taught.expand(len(said), -1)
        heads = losses.by_head(said, _targets(wanted), taught)
        passing = losses.real(logits)
        with torch.no_grad():
            self.generator.mapping.w_avg.lerp_(w.mean(dim=0), 0.005)
        terms = {f"G {name}": loss for name, loss in heads.items()}
        return Turn("generator", passing + weight * losses.total(heads), {"G": passing, **terms})

    def _made(self, wanted: Examples) -> tuple[Tensor, Tensor]:
        """Pictures (N, 1, H, W) of random people with the wanted labels; their first styles."""
        count = len(wanted.slices)
        z, other = torch.randn(2, count, LAYOUT.z)
        c = labels(wanted.covariates, positions(wanted.slices, SLICES))
        styles = mixed(self.generator, z, other, c, self.config.mixing)
        with self.machine.autocast():
            pictures = draw(self.generator, styles)
        return pictures.float(), styles[:, 0].detach()

    def pictures(self, networks: Networks) -> dict[str, Picture]:
        """Real and made slices, and what each covariate does."""
        network = networks["generator"]
        assert isinstance(network, Generator)
        return sheets(network, self.sources)


def _adam(network: nn.Module, rate: float, momentum: float, beta: float) -> torch.optim.Optimizer:
    moving = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return torch.optim.Adam(moving, lr=rate, betas=(momentum, beta))


def _targets(wanted: Examples) -> Tensor:
    where = positions(wanted.slices, SLICES)[:, None]
    return torch.cat([wanted.covariates, where], dim=1)


def _known(wanted: Examples) -> Tensor:
    always = torch.ones(len(wanted.slices), 1, dtype=torch.bool)
    return torch.cat([wanted.known, always], dim=1)
