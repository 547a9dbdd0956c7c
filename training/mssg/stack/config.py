"""Settings of MSSG-mini."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from napari_medsyn.models.mssg.stack import LABELS
from napari_medsyn.models.stylegan2.network import Layout
from training.harness.options import Settings

#: Channels at 4, 8, 16, 32 and 64 pixels, of the generator and of the discriminator.  Fewer
#: than usual where pixels are many, since there they cost a CPU most.
FEATURES: Final = (128, 128, 96, 48, 24)
LAYOUT: Final = Layout(z=64, c=LABELS, w=128, channels=1, layers=3, features=FEATURES, rate=0.1)
#: Beta 2 of Adam.
BETA: Final = 0.99


@dataclass(frozen=True)
class Config(Settings):
    """As published where a CPU allows it; path length regularisation is off.

    Before it, a warm-up that is not in the paper: an hour of a CPU is too short to find out
    from a discriminator alone what a brain is.

    Parameters
    ----------
    warm_up : steps in which the generator reconstructs real slices from their labels and a
        random latent of each anatomy.
    head_start : of these, the last ones, in which the discriminator learns already.
    anchor_every : steps from one such reconstruction to the next after the warm-up, which
        keep a latent the same person in all slices; 0 for none.
    reconstruction_weight, anchor_weight : of the mean absolute difference, in the warm-up and
        after it.
    sources : "both", or the name of the only one, as the single-source baselines have.
    momentum : beta 1 of Adam for the generator; 0 as published, more for a warm-up alone.
    discriminator_rate : its learning rate, over the generator's (Heusel et al. 2017).
    label_weight : of the label losses against the adversarial one, after the ramp.
    ramp_from, ramp_to : share of the steps after the warm-up at which the label losses begin
        and are whole.
    r1_weight : gamma of R1.
    r1_every : steps from one R1 to the next.
    mixing : share of made pictures whose styles come from two latents.
    """

    steps: int = 4000
    batch: int = 32
    learning_rate: float = 2e-3
    ema: float = 0.995
    clip: float = 30.0
    weight_decay: float = 0.0
    look_minutes: float = 4.0
    save_minutes: float = 3.0
    sources: str = "both"
    warm_up: int = 1500
    head_start: int = 60
    anchor_every: int = 4
    reconstruction_weight: float = 10.0
    anchor_weight: float = 3.0
    momentum: float = 0.0
    discriminator_rate: float = 1.0
    label_weight: float = 0.5
    ramp_from: float = 0.01
    ramp_to: float = 0.1
    r1_weight: float = 0.5
    r1_every: int = 16
    mixing: float = 0.5
