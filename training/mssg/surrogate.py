"""What a reader says of coefficients, without making the image each time.

Some thousands of people are made, read at full resolution, and a small network learns what
the reader said of which coefficients.  It is smooth, and a thousand times as fast.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from napari_medsyn.models.mssg.head import HALF, TemplateHead
from napari_medsyn.models.mssg.lattice import SHAPE, warp
from training.mssg.reader import Reader, features

#: What is read: age and sex as in the label vector, the logarithm of the ventricles' volume.
TARGETS = ("age", "sex", "ventricles")


@torch.no_grad()
def readings(
    head: TemplateHead, reader: Reader, shape: Tensor, appearance: Tensor, fold: Tensor
) -> Tensor:
    """(N, 3) of what is read of made people without lesions: age, sex, log of ventricles (ml)."""
    rows = []
    for a, b, c in zip(shape.split(1), appearance.split(1), fold.split(1), strict=True):
        u = head.displacement(a)
        both = torch.cat([head.volume(head.painted(b, c)), head.volume(head.edge)], 1)
        t1, edge = warp(both, u).split(1, 1)
        t1 = t1 * (edge > HALF)
        said = reader(features(t1))
        rows.append(torch.cat([said, head.ventricle_ml(u).log()[:, None]], 1))
    return torch.cat(rows)


class Surrogate(nn.Module):
    """Coefficients to what is read; linear, and a small network for what is not."""

    def __init__(self, inputs: int, outputs: int = len(TARGETS)) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.last = nn.Linear(96, outputs)
        self.bend = nn.Sequential(nn.Linear(inputs, 96), nn.SiLU(), self.last)

    def forward(self, coefficients: Tensor) -> Tensor:
        """(N, outputs) of (N, inputs)."""
        said: Tensor = self.linear(coefficients) + self.bend(coefficients)
        return said


def fit_surrogate(
    x: Tensor, y: Tensor, steps: int = 4000, seed: int = 0
) -> tuple[Surrogate, Tensor]:
    """A surrogate of pairs (N, inputs), (N, outputs), and its r on a tenth that was held out."""
    torch.manual_seed(seed)
    held = len(x) // 10
    model = Surrogate(x.shape[1], y.shape[1])
    scale = y.std(0)
    # Begin with least squares: the network has only the rest to learn.
    ones = torch.cat([x[held:], torch.ones(len(x) - held, 1)], 1)
    penalty = 1e-2 * torch.eye(ones.shape[1])
    solved = torch.linalg.solve(ones.T @ ones + penalty, ones.T @ y[held:])
    with torch.no_grad():
        model.linear.weight.copy_(solved[:-1].T)
        model.linear.bias.copy_(solved[-1])
        model.last.weight.zero_()
        model.last.bias.zero_()
    optimiser = torch.optim.AdamW(model.bend.parameters(), 1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = held + torch.randint(len(x) - held, (128,))
        loss = ((model(x[rows]) - y[rows]) / scale).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    model.requires_grad_(False)
    with torch.no_grad():
        a, b = model(x[:held]), y[:held]
    r = np.array([np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(y.shape[1])])
    return model, torch.from_numpy(r)


def read_people(reader: Reader, t1: Tensor) -> Tensor:
    """(N, 2) of real T1s (N, 1, *SHAPE)."""
    if tuple(t1.shape[2:]) != SHAPE:
        raise ValueError(f"T1 has shape {tuple(t1.shape)}, not {SHAPE}")
    return torch.cat([reader(features(one)) for one in t1.split(1)])
