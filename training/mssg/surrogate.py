"""What a reader says of coefficients, without making the image each time.

Some thousands of people are made, read at full resolution, and a small network learns what
the reader said of which coefficients.  It is smooth, and a thousand times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medsyn.models.mssg.head import HALF, TemplateHead, blurred
from napari_medsyn.models.mssg.lattice import warp
from training.mssg.reader import Reader, features, fluid_ml

#: What is read: age and sex as in the label vector, the logarithm of the ventricles' volume.
TARGETS = ("age", "sex", "ventricles")

#: Coefficient of appearance that is the look of the second cohort (`bases`): 0 or 1.
LOOK = 0


@dataclass(frozen=True, eq=False)
class Instruments:
    """What made people are read with.

    Parameters
    ----------
    reader : of age and sex.
    level : (2,) offset and slope from the logarithm of the fluid in and around the ventricles
        to that of the ventricles' volume.
    """

    reader: Reader
    level: Tensor


def ventricle_region(head: TemplateHead) -> Tensor:
    """(1, 1, *SHAPE) the template's ventricles and two voxels around them."""
    seeds = (head.volume(head.ventricle) > 0.1).float()
    return F.max_pool3d(seeds, 5, stride=1, padding=2)


@torch.no_grad()
def readings(
    head: TemplateHead, tools: Instruments, shape: Tensor, appearance: Tensor, fold: Tensor
) -> Tensor:
    """(N, 3) of what is read of made people without lesions: age, sex, log of ventricles (ml).

    Ventricles are measured on the image, not by the template's labels: a folding's ventricles
    need not end where the mean template's do.
    """
    region = ventricle_region(head)
    rows = []
    for a, b, c in zip(shape.split(1), appearance.split(1), fold.split(1), strict=True):
        u = head.displacement(a)
        painted = head.volume(head.painted(b, c))
        if float(b[0, LOOK]) > HALF:
            painted = blurred(painted)
        volumes = [painted, head.volume(head.edge), region]
        t1, edge, near = warp(torch.cat(volumes, 1), u).split(1, 1)
        t1 = t1 * (edge > HALF)
        ventricles = tools.level[0] + tools.level[1] * fluid_ml(t1, near).log()
        rows.append(torch.cat([tools.reader(features(t1)), ventricles[:, None]], 1))
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
