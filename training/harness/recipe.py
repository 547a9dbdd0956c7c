"""What a recipe says: who is trained, on what, by which loss, and how to look at it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.harness.machine import Machine
from training.harness.options import Settings

B = TypeVar("B")
Networks = Mapping[str, nn.Module]
#: (H, W) or (H, W, 3) in [0, 1].
Picture = NDArray[np.floating]


@dataclass(eq=False)
class Player:
    """One network and the optimiser that moves it.

    Parameters
    ----------
    schedule : step to factor of the optimiser's learning rates.
    ema : decay of the average of its weights a step; 0 keeps none.
    clip : longest gradient, Euclidean norm.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: Callable[[int], float] = lambda _: 1.0
    ema: float = 0.0
    clip: float = math.inf


@dataclass(eq=False)
class Turn:
    """One optimiser step to be made: `player` reduces `loss`.

    Parameters
    ----------
    loss : scalar.
    terms : what the log shows, by name; scalars, averaged over the steps of a line.
    """

    player: str
    loss: Tensor
    terms: Mapping[str, Tensor | float] = field(default_factory=dict)


class Recipe(ABC, Generic[B]):
    """What is trained and how; `Run` makes the steps.

    All randomness of a step comes from the generator that `batch` is given and from torch's
    global one, which `Run` seeds anew for each step.  A recipe keeps no generator, and
    nothing else that a step changes outside of its players, so that step k is the same
    whether or not the run was stopped before it.
    """

    #: The settings' class: its fields become options.
    Settings: ClassVar[type[Settings]]

    #: By name, in the order of their making.  The first one's average, or the network
    #: itself where it has none, becomes ``weights.safetensors``.
    players: dict[str, Player]

    @classmethod
    @abstractmethod
    def open(cls, settings: Any, machine: Machine, data: Path, cache: Path) -> Recipe[B]:
        """The recipe on the data in `data`; what takes long to derive is kept in `cache`."""

    @abstractmethod
    def batch(self, step: int, generator: torch.Generator) -> B:
        """The examples of one step, on the CPU; called in other threads, if ``workers``."""

    @abstractmethod
    def turns(self, step: int, batch: B) -> Iterator[Turn]:
        """The optimiser steps of one step, in order.

        A generator: what stands behind a ``yield`` runs after the yielded turn has been
        made, so that a discriminator and a generator alternate as they are written, and a
        lazy regulariser is an ``if step % 16 == 0``.
        """

    def describe(self) -> dict[str, Any]:
        """What ``run.json`` shall note besides the settings: architecture, data hash."""
        return {}

    def validate(self, networks: Networks) -> dict[str, float]:
        """Figures of the averaged networks on the validation part, by name."""
        del networks
        return {}

    def pictures(self, networks: Networks) -> dict[str, Picture]:
        """Sample pictures of the averaged networks, by name."""
        del networks
        return {}


def one_cycle(steps: int, warm_up: float = 0.03, floor: float = 0.02) -> Callable[[int], float]:
    """Linear warm-up over a share of the steps, then half a cosine down to `floor`."""
    warm = max(1, int(warm_up * steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        done = min(1.0, (step - warm) / max(1, steps - warm))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))

    return factor
