"""The tissue judge: T1 to tissues and their volumes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableStudy
from napari_medsyn.models.judges.judge import Verdict
from napari_medsyn.models.judges.loading import filled, fitting
from napari_medsyn.models.judges.networks import TissueNet, TissueTopology

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy


def load(card: ModelCard, weights: Path, device: str) -> TissueJudge:
    """Build the network that the card describes and fill it, strictly, from safetensors.

    Raises
    ------
    UnusableModel : the weights are not those of the architecture.
    """
    from safetensors.torch import load_file

    with fitting(weights):
        topology = TissueTopology.from_card(card.architecture)
        if card.grid.shape != topology.shape:
            raise ValueError(f"the network's grid is {topology.shape}, not {card.grid.shape}")
        codes = [entry.code for entry in card.legends[card.outputs[0]]]
        if codes != list(range(1, topology.classes + 1)):
            raise ValueError(f"{topology.classes} classes are not the codes of the legend")
        network = filled(lambda: TissueNet(topology), load_file(weights), device)
    return TissueJudge(card, network)


class TissueJudge:
    """A loaded `TissueNet`; gives one reading for each tissue and a map of all."""

    def __init__(self, card: ModelCard, network: TissueNet) -> None:
        self.card = card
        self.network = network

    def read(self, prepared: PreparedStudy) -> Verdict:
        """Name each brain voxel's tissue; a volume is the sum of a tissue's shares.

        Raises
        ------
        UnusableStudy : there is no T1.
        """
        shares = shares_of(self.network, prepared, self.card.name)
        codes = np.where(prepared.mask, shares.argmax(axis=0) + 1, 0).astype(np.uint8)
        volumes = volumes_ml(shares, prepared.grid.spacing)
        readings = dict(zip((r.name for r in self.card.readings), volumes.tolist(), strict=True))
        return Verdict(readings, maps={self.card.outputs[0]: codes})


def shares_of(network: TissueNet, prepared: PreparedStudy, judge: str) -> NDArray[np.float32]:
    """(classes, X, Y, Z): each tissue's share of each voxel of the T1, 0 outside the brain.

    Raises
    ------
    UnusableStudy : there is no T1; `judge` is who needs it.
    """
    t1 = prepared.volumes.get("T1")
    if t1 is None:
        raise UnusableStudy(f"{judge} reads T1, and the study has none; add a T1 scan")
    shares: NDArray[np.float32] = network.shares(torch.from_numpy(t1)).cpu().numpy()
    return shares * prepared.mask


def volumes_ml(shares: NDArray[np.float32], spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Volume of each of (classes, X, Y, Z) shares in ml; `spacing` in mm."""
    volumes: NDArray[np.float64] = shares.sum(axis=(1, 2, 3), dtype=np.float64)
    return volumes * float(np.prod(spacing)) / 1000
