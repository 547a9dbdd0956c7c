"""What the tissue network says of every healthy person, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_medsyn.models.judges.covariates import morphometry
from napari_medsyn.models.judges.networks import TissueNet
from napari_medsyn.models.judges.tissue import volumes_ml
from napari_medsyn.registry.packages import sha256_of
from training.data.healthy import Healthy
from training.judges.tissue.classes import TISSUES, tissues_of
from training.judges.tissue.recipe import dice


@dataclass(frozen=True, eq=False)
class Measured:
    """The tissue network's account of some people, in their order.

    Parameters
    ----------
    features : (N, features) float32: `morphometry`.
    volume_ml : (N, classes) sum of each tissue's shares.
    drawn_ml : (N, classes) volume of each tissue as labelled.
    dice : (N, classes) overlap with the labels.
    """

    features: NDArray[np.float32]
    volume_ml: NDArray[np.float64]
    drawn_ml: NDArray[np.float64]
    dice: NDArray[np.float64]


def measure(network: TissueNet, folk: Healthy, weights: Path, cache: Path) -> Measured:
    """Run the network on everybody, or read what is in `cache` for these weights and people.

    Parameters
    ----------
    weights : the network's file: its hash names the cached one.
    """
    stored = cache / f"morphometry-{sha256_of(weights)[:12]}-{len(folk)}.npz"
    if stored.exists():
        with np.load(stored) as z:
            if z["ids"].tolist() == list(folk.ids):
                parts = (z[n] for n in ("features", "volume_ml", "drawn_ml", "dice"))
                features, *others = parts
                return Measured(features.astype(np.float32), *others)
    rows = [_one(network, folk, i) for i in range(len(folk))]
    features, volume_ml, drawn_ml, overlap = (np.stack(part) for part in zip(*rows, strict=True))
    cache.mkdir(parents=True, exist_ok=True)
    np.savez(
        stored,
        ids=np.array(folk.ids),
        features=features.astype(np.float16),
        volume_ml=volume_ml,
        drawn_ml=drawn_ml,
        dice=overlap,
    )
    return Measured(features, volume_ml, drawn_ml, overlap)


@torch.inference_mode()
def _one(network: TissueNet, folk: Healthy, i: int) -> tuple[NDArray[np.floating], ...]:
    with torch.autocast("cpu", torch.bfloat16):
        shares = network.shares(torch.from_numpy(folk.volume(i)))
    shares = shares * torch.from_numpy(folk.brain[i])
    spacing = np.abs(np.diag(folk.affine)[:3])
    truth = tissues_of(folk.labels[i])
    drawn = np.bincount(truth.ravel(), minlength=len(TISSUES) + 1)[1:]
    return (
        morphometry(shares).flatten().numpy(),
        volumes_ml(shares.numpy(), spacing),
        drawn * float(np.prod(spacing)) / 1000,
        np.array(dice(shares.argmax(dim=0).numpy() + 1, truth)),
    )
