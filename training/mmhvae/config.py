"""Everything a run of the recipe depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.data.grids import GRID_ORIGIN, GRID_SHAPE, MODALITIES
from training.harness.options import Settings

__all__ = ["ARCHITECTURES", "GRID_ORIGIN", "GRID_SHAPE", "MODALITIES", "Config", "architecture"]

#: The networks by name: ``compact`` for CPUs (2.9 M parameters, half resolution inside),
#: ``full`` for GPUs (full resolution inside, one scale more).
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "compact": {
        "layout": "compact",
        "modalities": list(MODALITIES),
        "widths": [24, 40, 64, 96, 96],
        "latents": [12, 12, 16, 16, 16],
        "patch": 2,
        "context": 1,
        "positions": 3,
        "head_features": 24,
    },
    "full": {
        "layout": "compact",
        "modalities": list(MODALITIES),
        "widths": [24, 40, 64, 96, 128, 128],
        "latents": [8, 12, 12, 16, 16, 16],
        "patch": 1,
        "context": 1,
        "positions": 3,
        "head_features": 24,
    },
}


def architecture(name: str) -> Mapping[str, Any]:
    """The network of that name, as a card's ``architecture``.

    Raises
    ------
    ValueError : there is none.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"network {name!r} is not one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


@dataclass(frozen=True)
class Config(Settings):
    """Settings of imputation: of MMHVAE, and of the baselines it is compared with.

    Parameters
    ----------
    network : "compact" (CPU) or "full" (GPU); see `ARCHITECTURES`.
    real : share of steps on real scans; the rest is simulated.
    heads : share of the simulated slices that are cut out of `training.simulator`'s heads.
    kl_weight : weight of the KL term per image voxel, after its ramp.
    free_bits : nats per latent element and level that the KL does not punish.
    structure_weight : weight of 1 - SSIM.
    square_weight : weight of the squared error.
    scale_weight : weight of the Laplace likelihood that the scale is learnt by.
    fed_weight : weight of the reconstruction of modalities that were fed.
    lesion_weight : by how much more a voxel counts that is known to be lesion; 0 for no more.
    laden : share of the slices simulated on their own that are drawn where there are lesions.
    painted : share of the real slices that get painted lesions.
    hidden : share of the steps in which FLAIR is not fed with others, whatever was drawn: what
        shows lesions best must be learnt to be made of what shows them worse.
    kl_ramp : share of the steps by which the weight of the KL term has risen to its full.
    crop : side of the square windows that are trained on, pixels; 0 for whole slices.
    whole : share of the steps, at the end, on whole slices all the same.
    pool : simulated slices kept for several steps; 0 makes new ones for every step.
    fresh : new simulated slices a step, when there is a pool.
    adversarial_weight : weight of the adversarial term, 0 for none; published: 0.025.
    adversarial_from : share of the steps after which it counts; published: 0.8.
    adversarial_rate : learning rate of the discriminators' Adam; published: 2e-4.
    look_slices : distance of the slices that a validation scores.
    """

    steps: int = 1500
    batch: int = 12
    learning_rate: float = 1.5e-3
    network: str = "compact"
    real: float = 0.0
    heads: float = 0.0
    kl_weight: float = 1e-3
    free_bits: float = 0.01
    structure_weight: float = 0.2
    square_weight: float = 2.0
    scale_weight: float = 0.05
    fed_weight: float = 0.3
    lesion_weight: float = 0.0
    laden: float = 0.0
    painted: float = 0.0
    hidden: float = 0.0
    kl_ramp: float = 0.1
    crop: int = 0
    whole: float = 0.15
    pool: int = 0
    fresh: float = 2.0
    adversarial_weight: float = 0.0
    adversarial_from: float = 0.8
    adversarial_rate: float = 2e-4
    look_slices: int = 16
