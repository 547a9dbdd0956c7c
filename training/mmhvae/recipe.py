"""MMHVAE: one subset of the modalities a step; on a GPU with discriminators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from napari_medsyn.models.mmhvae import MMHVAE, Topology
from training.compare.imputers import FamilyImputer, Imputer
from training.harness.machine import Machine
from training.harness.recipe import Player, Turn
from training.mmhvae import adversarial, losses
from training.mmhvae.batches import Batch
from training.mmhvae.config import MODALITIES, Config, architecture
from training.mmhvae.imputation import Guess, ImputationRecipe, Material, named, wanted

#: Share of the steps by which discriminators start before they count (10 of 1000 epochs).
HEAD_START = 0.01


class MMHVAERecipe(ImputationRecipe):
    """Train the embedded MMHVAE on real and simulated slices of the training part."""

    def __init__(self, config: Config, machine: Machine, material: Material) -> None:
        super().__init__(config, machine, material)
        if config.adversarial_weight > 0:
            critics = adversarial.critics(MODALITIES).to(machine.device)
            optimiser = torch.optim.Adam(critics.parameters(), lr=config.adversarial_rate)
            self.critics = critics
            self.players["critics"] = Player(critics, optimiser)

    @property
    def architecture(self) -> Mapping[str, Any]:
        """As on a card."""
        return architecture(self.config.network)

    @property
    def patch(self) -> int:
        """As on a card."""
        return int(self.architecture["patch"])

    def build(self) -> nn.Module:
        """A new MMHVAE."""
        return MMHVAE(Topology.from_card(self.architecture))

    def imputer(self, network: nn.Module) -> Imputer:
        """The mean path of the network."""
        return FamilyImputer(network, self.machine.device, temperature=0.0)

    def guess(self, step: int, batch: Batch) -> Guess:
        """One sample of the posterior given what is fed; its divergence from the prior."""
        network = self.network
        assert isinstance(network, MMHVAE)
        with self.machine.autocast():
            skips = {}
            for i in batch.fed:
                x = batch.inputs[:, i].contiguous(memory_format=torch.channels_last)
                skips[MODALITIES[i]] = network.encode(MODALITIES[i], x, batch.where)
            decoded = network.decode(
                skips,
                targets=[MODALITIES[i] for i in batch.present],
                noise=lambda _, like: torch.randn_like(like),
                keep_latents=True,
            )
        c = self.config
        divergence = losses.kl(decoded.posteriors, decoded.priors, c.free_bits)
        risen = min(1.0, step / (c.kl_ramp * c.steps)) if c.kl_ramp > 0 else 1.0
        weight = c.kl_weight * risen / batch.inside[0].numel()
        penalty = weight * divergence
        return Guess(decoded.mean, decoded.log_scale, penalty, {"kl": divergence})

    def turns(self, step: int, batch: Batch) -> Iterator[Turn]:
        """The network's turn and, towards the end if asked for, the discriminators'."""
        c = self.config
        starts = c.adversarial_from * c.steps
        if c.adversarial_weight == 0 or step < starts - HEAD_START * c.steps:
            yield from super().turns(step, batch)
            return
        batch = batch.to(self.machine.device)
        guess = self.guess(step, batch)
        loss, terms = self.loss(batch, guess)
        made = {m: guess.mean[m].float() * batch.inside for m in guess.mean}
        # From everything, images are reconstructed, not imputed: they need not pass.
        if step >= starts and len(batch.fed) < len(batch.present):
            adversarial.freeze(self.critics, True)
            with self.machine.autocast():
                passing = adversarial.passing(self.critics, made)
            loss = loss + c.adversarial_weight * passing
            terms["passing"] = passing
        yield Turn("network", loss, named(batch, {"loss": loss, **terms, **guess.terms}))
        fake = {MODALITIES[i]: made[MODALITIES[i]] for i in batch.present if i not in batch.fed}
        if fake:
            adversarial.freeze(self.critics, False)
            with self.machine.autocast():
                loss = adversarial.telling_apart(self.critics, _scanned(batch), fake)
            yield Turn("critics", loss, named(batch, {"critics": loss}))


def _scanned(batch: Batch) -> dict[str, Tensor]:
    """The real images of a batch, 0 outside the brain."""
    return {MODALITIES[i]: wanted(batch, i) * batch.inside for i in batch.present}
