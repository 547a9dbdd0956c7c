"""Losses of a multi-source StyleGAN.

Source: Karras et al. 2020 (non-saturating logistic loss, lazy R1); Lai et al. 2024 (label
losses), with the label loss of reals masked to what is recorded of them.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from training.mssg.stack.discriminator import Discriminator
from training.mssg.stack.people import NAMES

#: What the heads say, in their order.
HEADS: Final = (*NAMES, "position")
#: Heads of two classes, -1 and 1.
BINARY: Final = ("sex", "cohort")
#: Steps of the ramp of the labels' weight, from e^-10 to 1, as published.
RAMP_FROM: Final = -10.0


def real(logits: Tensor) -> Tensor:
    """Loss of logits that should say real."""
    return F.softplus(-logits).mean()


def made(logits: Tensor) -> Tensor:
    """Loss of logits that should say made."""
    return F.softplus(logits).mean()


def by_head(said: Tensor, wanted: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Mean loss of each head over the pictures whose label is known.

    Parameters
    ----------
    said, wanted : (N, heads).
    known : (N, heads) bool; a head that knows nobody costs nothing.

    Returns
    -------
    Squared error; of the heads of two classes, the cross-entropy.
    """
    losses = {}
    for number, name in enumerate(HEADS):
        s, w, mask = said[:, number], wanted[:, number], known[:, number].float()
        if name in BINARY:
            each = F.binary_cross_entropy_with_logits(s, (w > 0).float(), reduction="none")
        else:
            each = (s - w).square()
        losses[name] = (each * mask).sum() / mask.sum().clamp(min=1)
    return losses


def total(losses: dict[str, Tensor]) -> Tensor:
    """Sum over heads."""
    return torch.stack(list(losses.values())).sum()


def ramp(done: float, start: float, end: float) -> float:
    """Factor of the labels' weight after a share `done` of the run.

    0 until `start`, then growing exponentially from e^-10 to 1 at `end`.
    """
    if done < start:
        return 0.0
    return math.exp(RAMP_FROM * (1 - min(1.0, (done - start) / max(end - start, 1e-9))))


def r1(network: Discriminator, pictures: Tensor) -> Tensor:
    """Half the mean squared gradient of the logit at real pictures (Mescheder et al. 2018)."""
    pictures = pictures.detach().requires_grad_(True)
    logits, _ = network(pictures)
    (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean() / 2
