"""Sheets of slices to look at during training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_medsyn.models.mssg.stack import BRIGHTEST, COVARIATES, positions, stack
from napari_medsyn.models.stylegan2.network import Generator
from training.mssg.stack.people import NAMES, People
from training.mssg.stack.slices import SLICES, STORED_ONE

#: Slices of a row of the sheet of people.
SHOWN = (8, 16, 24, 32, 40, 48, 56, 66)
#: The slice that shows what covariates do, and their encoded values.
MIDDLE = 34
VALUES = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)


def sheets(net: Generator, sources: Sequence[People]) -> dict[str, NDArray[np.float32]]:
    """Sheets by name: real people, made ones, and the covariates of one of them."""
    where = torch.tensor(SHOWN)
    real = [p.pictures[n, where].float() / STORED_ONE for p in sources for n in (0, 1)]
    generator = torch.Generator().manual_seed(7)
    rows = []
    for people in sources:
        for number in range(3):
            z = torch.randn(net.layout.z, generator=generator)
            c = people.covariates[number * len(people) // 3, 0]
            rows.append(stack(net, z, c, positions(where, SLICES)))
    z = torch.randn(net.layout.z, generator=generator)
    swept = [_swept(net, z, sources[0].covariates[0, 0], place) for place in range(COVARIATES)]
    return {"real": _sheet(real), "made": _sheet(rows), "swept " + " ".join(NAMES): _sheet(swept)}


def _swept(net: Generator, z: Tensor, c: Tensor, place: int) -> Tensor:
    """One slice of one person at several values of one covariate."""
    middle = positions(torch.tensor([MIDDLE]), SLICES)
    drawn = []
    for value in VALUES:
        changed = c.clone()
        changed[place] = value
        drawn.append(stack(net, z, changed, middle)[0])
    return torch.stack(drawn)


def _sheet(rows: Sequence[Tensor]) -> NDArray[np.float32]:
    """Rows of slices (n, x, y) as one picture, patient's front up, 0 to 1."""
    drawn = [torch.cat([p.T.flip(0) for p in row], dim=1) for row in rows]
    wide = max(row.shape[1] for row in drawn)
    padded = [torch.nn.functional.pad(row, (0, wide - row.shape[1])) for row in drawn]
    return (torch.cat(padded) / BRIGHTEST).clamp(0, 1).numpy()
