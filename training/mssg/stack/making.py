"""Stacks of people with the covariates that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_medsyn.models.latents import latent
from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.stack import positions, stack
from napari_medsyn.models.stylegan2.network import Generator
from training.mssg.stack.slices import SLICES


def made(
    net: Generator,
    labels: LabelModel,
    values: Mapping[str, Any],
    seed: int,
    slices: Sequence[int] = range(SLICES),
) -> NDArray[np.float32]:
    """(n, SIDE, SIDE) normalised intensity: the stack of one person, or some slices of it.

    Parameters
    ----------
    values : every covariate, as a card's controls have them.
    """
    encoded = torch.tensor(np.asarray(labels.encode(values), np.float32))
    where = positions(torch.tensor(list(slices), dtype=torch.float32), SLICES)
    return np.asarray(stack(net, latent(seed, net.layout.z), encoded, where).numpy())
