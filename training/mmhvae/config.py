"""Everything a run of the recipe depends on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

MODALITIES = ("T1", "T1c", "T2", "FLAIR")

#: The embedded model's grid: RAS+, 1 mm, voxel (0, 0, 0) at this MNI point.
GRID_SHAPE = (160, 192, 160)
GRID_ORIGIN = (-80.0, -115.0, -74.0)

#: The compact network: 2.9 M parameters, half resolution inside.
ARCHITECTURE: dict[str, Any] = {
    "layout": "compact",
    "modalities": list(MODALITIES),
    "widths": [24, 40, 64, 96, 96],
    "latents": [12, 12, 16, 16, 16],
    "patch": 2,
    "context": 1,
    "positions": 3,
    "head_features": 24,
}


@dataclass(frozen=True)
class Config:
    """Settings of one run.

    Parameters
    ----------
    steps : optimiser steps of this run.
    batch : slices a step.
    real : share of steps on real scans; the rest is simulated.
    hold_out : people never trained on, comma separated ("patient07"); all their visits.
    learning_rate : peak of AdamW's one-cycle cosine, with 3 % warm-up.
    kl_weight : weight of the KL term per image voxel, after its ramp.
    free_bits : nats per latent element and level that the KL does not punish.
    structure_weight : weight of 1 - SSIM.
    fed_weight : weight of the reconstruction of modalities that were fed.
    crop : side of the square windows that are trained on, pixels; 0 for whole slices.
    whole : share of the steps, at the end, on whole slices all the same.
    pool : simulated slices kept for several steps; 0 makes new ones for every step.
    fresh : new simulated slices a step, when there is a pool.
    threads : CPU threads.
    """

    steps: int = 1500
    batch: int = 12
    real: float = 0.0
    hold_out: str = ""
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-2
    ema: float = 0.995
    kl_weight: float = 1e-3
    free_bits: float = 0.01
    structure_weight: float = 0.2
    square_weight: float = 2.0
    scale_weight: float = 0.05
    fed_weight: float = 0.3
    crop: int = 0
    whole: float = 0.15
    pool: int = 0
    fresh: float = 2.0
    seed: int = 0
    threads: int = 2

    def as_dict(self) -> dict[str, Any]:
        """For the log and the card's provenance."""
        return asdict(self)
