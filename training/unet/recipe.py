"""The U-Net with modality dropout, on MMHVAE's batches, subsets and loss."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from napari_medsyn.models.mmhvae import positions
from training.compare.imputers import Imputed, Imputer
from training.compare.scoring import brain
from training.data.grids import GRID_SHAPE, MODALITIES
from training.data.multimodal import Visit
from training.mmhvae.batches import Batch
from training.mmhvae.imputation import Guess, ImputationRecipe
from training.mmhvae.losses import LOG_SCALE_RANGE
from training.unet.network import Layout, UNet

#: Values above this (1 is the 99.5th percentile of the brain) are outliers of the network.
BRIGHTEST = 1.5


class UNetRecipe(ImputationRecipe):
    """Train a U-Net with modality dropout: the same budget as the compact MMHVAE."""

    layout = Layout()

    @property
    def architecture(self) -> Mapping[str, Any]:
        """The layout."""
        return self.layout.as_dict()

    @property
    def patch(self) -> int:
        """Of the layout."""
        return self.layout.patch

    def build(self) -> nn.Module:
        """A new U-Net."""
        return UNet(self.layout)

    def imputer(self, network: nn.Module) -> Imputer:
        """The network as it is."""
        return UNetImputer(network, self.machine.device)

    def guess(self, step: int, batch: Batch) -> Guess:
        """All modalities in one pass."""
        del step
        targets = [MODALITIES[i] for i in batch.present]
        with self.machine.autocast():
            mean, log_scale = self.network(batch.inputs, batch.fed, batch.where, targets)
        return Guess(mean, log_scale)


class UNetImputer:
    """A U-Net as it is used; the standard deviation is that of its Laplace likelihood.

    Parameters
    ----------
    network : is copied.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        network = copy.deepcopy(network)
        assert isinstance(network, UNet)
        self._network, self._device = network.eval().requires_grad_(False), device

    @torch.inference_mode()
    def __call__(self, visit: Visit, present: Sequence[str], slices: Sequence[int]) -> Imputed:
        """Mean and spread, sqrt(2) times the Laplace scale, of every modality."""
        fed = [MODALITIES.index(m) for m in present]
        inside = brain(visit, slices)
        mean, std = ({m: np.zeros(inside.shape, np.float32) for m in MODALITIES} for _ in range(2))
        for place, k in enumerate(slices):
            near = [min(max(k + d, 0), len(visit.mask) - 1) for d in (-1, 0, 1)]
            images = visit.images[None, :, near].float().to(self._device)
            shape = (*images.shape[3:], GRID_SHAPE[2])
            where = positions(torch.tensor([k]), shape, self._network.layout.patch)
            made = self._network(images, fed, where.to(self._device), MODALITIES)
            for m in MODALITIES:
                scale = made[1][m].clamp(*LOG_SCALE_RANGE).exp() * 2**0.5
                mean[m][:, :, place] = made[0][m][0, 0].clamp(0, BRIGHTEST).cpu().numpy()
                std[m][:, :, place] = scale[0, 0].cpu().numpy()
        return Imputed(*({m: v * inside for m, v in kind.items()} for kind in (mean, std)))
