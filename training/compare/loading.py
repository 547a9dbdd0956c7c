"""A run's weights to the model as it is used; ``run.json`` beside them says what it is."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from napari_medsyn.models.mmhvae import MMHVAE, Topology
from training.compare.imputers import FamilyImputer, Imputer
from training.unet.network import Layout, UNet
from training.unet.recipe import UNetImputer
from training.voxelwise.regression import VoxelWise


def imputer_of(weights: Path, device: torch.device | None = None) -> Imputer:
    """Load weights of MMHVAE, with or without mixture, of the U-Net, or a regression.

    An MMHVAE is calibrated if ``calibration.json`` lies beside it.

    Raises
    ------
    ValueError : there is no ``run.json`` beside the weights, or it names no architecture.
    """
    if weights.suffix == ".json":
        return VoxelWise.load(weights)
    where = device or torch.device("cpu")
    record = weights.parent / "run.json"
    if not record.exists():
        raise ValueError(f"{record} does not exist; keep a run's weights beside its record")
    architecture = json.loads(record.read_text()).get("architecture")
    if not isinstance(architecture, dict):
        raise ValueError(f"{record} names no architecture; score weights of an imputing recipe")
    state = load_file(weights)
    if architecture["layout"] == "unet":
        unet = UNet(Layout.of(architecture)).to(where)
        unet.load_state_dict(state)
        return UNetImputer(unet, where)
    network = MMHVAE(Topology.from_card(architecture))
    network.load_state_dict(state)
    calibration = weights.parent / "calibration.json"
    known = json.loads(calibration.read_text()) if calibration.exists() else None
    return FamilyImputer(network, where, calibration=known)
