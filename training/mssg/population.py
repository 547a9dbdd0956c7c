"""Every healthy person registered to one template that is the mean of the training people.

`python -m training.mssg.population --data ../shared/data --out runs/mssg` writes the template
(T1, tissues, brain; 2 mm) and each person's velocity (B-spline control values).  Only training
people shape the template; the others are registered to it for measuring.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_medsyn.models.mssg.lattice import (
    CONTROLS,
    LOW,
    SHAPE,
    coarser,
    exponential,
    fit_controls,
    velocity,
    warp,
)
from training.data.healthy import Healthy, load_healthy
from training.data.splits import part_of
from training.simulator.tissues import CODE, code_table

#: What is registered: T1, five groups of tissue, the brain; and the weight of each.
GROUPS = (
    ("white", "cerebellar white", "stem"),
    ("cortex", "cerebellar cortex"),
    ("thalamus", "caudate", "putamen", "pallidum", "hippocampus"),
    ("ventricle",),
    ("fluid",),
)
WEIGHTS = (2.0, 1.0, 1.0, 1.0, 3.0, 0.5, 1.0)
#: Weight of the velocity's squared gradient against 100 times the squared difference.
STIFFNESS = 0.15


def channels(healthy: Healthy, index: int) -> NDArray[np.float16]:
    """(7, *SHAPE) what one person is registered by: slightly blurred T1, tissues, brain."""
    crop = tuple(slice(low, low + n) for low, n in zip(LOW, SHAPE, strict=True))
    tissues = code_table("dlmuse", 256)[healthy.labels[index]]
    parts = [ndimage.gaussian_filter(healthy.volume(index), 0.6)]
    for group in GROUPS:
        mask = np.isin(tissues, [CODE[name] for name in group])
        parts.append(ndimage.gaussian_filter(mask.astype(np.float32), 0.8))
    parts.append(ndimage.gaussian_filter(healthy.brain[index].astype(np.float32), 0.8))
    return np.stack(parts)[(slice(None), *crop)].astype(np.float16)


@dataclass(frozen=True)
class Effort:
    """How long one registration goes on, and on which grid."""

    iterations: int
    rate: float
    fine: bool


def register(
    template: Tensor, target: Tensor, start: Tensor, effort: Effort
) -> tuple[Tensor, float]:
    """Control values (1, 3, *CONTROLS) that take `template` to `target`, and what is left.

    Parameters
    ----------
    template, target : (1, 7, *SHAPE).
    start : control values to begin with.
    """
    if not effort.fine:
        template, target = coarser(template), coarser(target)
    weights = torch.tensor(WEIGHTS).view(1, -1, 1, 1, 1)
    p = start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([p], lr=effort.rate, betas=(0.8, 0.95))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, effort.iterations)
    left = 0.0
    for _ in range(effort.iterations):
        v = velocity(p)
        difference = ((warp(template, exponential(v)) - target) ** 2 * weights).mean()
        rough = sum(v.diff(dim=axis).square().mean() for axis in (2, 3, 4))
        loss = 100 * difference + STIFFNESS * rough
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        left = float(difference.detach())
    return p.detach(), left


def mean_image(images: NDArray[np.float16], p: Tensor, people: list[int]) -> Tensor:
    """(1, C, *SHAPE) mean of the people's images, each taken to the template."""
    total = torch.zeros(1, images.shape[1], *SHAPE)
    with torch.no_grad():
        for i in people:
            target = torch.from_numpy(images[i].astype(np.float32))[None]
            total += warp(target, exponential(-velocity(p[i : i + 1])))
    return total / len(people)


def centre(template: Tensor, p: Tensor, people: list[int]) -> Tensor:
    """Take the people's mean velocity out of them (in place) and put it into the template."""
    mean = p[people].mean(0, keepdim=True)
    p[people] -= mean
    with torch.no_grad():
        return warp(template, exponential(velocity(mean)))


def save(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write arrays under `path`, all or nothing."""
    temporary = path.with_name(path.stem + ".part.npz")
    np.savez(temporary, **arrays)  # type: ignore[arg-type]
    os.replace(temporary, path)


def main() -> None:
    """Register everybody; about 45 minutes on one core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="a population.npz to begin with")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    healthy = load_healthy(arguments.data)
    images = np.stack([channels(healthy, i) for i in range(len(healthy))])
    train = [i for i, name in enumerate(healthy.ids) if part_of(name) == "train"]
    everybody = list(range(len(healthy)))
    p = torch.zeros(len(healthy), 3, *CONTROLS)
    template = torch.from_numpy(images[train].mean(0, dtype=np.float32))[None]
    rounds = [(train, Effort(40, 0.4, False)), (train, Effort(40, 0.25, False))]
    if arguments.start:
        template, p = _resumed(arguments.start)
        rounds = []
    rounds += [(train, Effort(25, 0.25, False)), (everybody, Effort(0, 0.25, True))]
    began = time.time()
    with torch.multiprocessing.get_context("fork").Pool(arguments.workers) as pool:
        for number, (who, effort) in enumerate(rounds):
            tasks = [(template, images[i], p[i : i + 1], effort, i in train) for i in who]
            lefts = []
            for i, (values, left) in zip(who, pool.imap(_register_one, tasks), strict=True):
                p[i] = values[0]
                lefts.append(left)
                if effort.fine and len(lefts) % 20 == 0:
                    print(f"  {len(lefts)} people, {time.time() - began:.0f} s", flush=True)
            template = centre(mean_image(images, p, train), p, train)
            if effort.fine:
                template = mean_image(images, p, train)
            print(f"round {number}: {np.mean(lefts):.5f}, {time.time() - began:.0f} s", flush=True)
            save(
                arguments.out / "registered.npz",
                template=template[0].numpy().astype(np.float16),
                p=p.numpy().astype(np.float32),
                ids=np.array(healthy.ids),
            )


def _register_one(
    task: tuple[Tensor, NDArray[np.float16], Tensor, Effort, bool],
) -> tuple[Tensor, float]:
    torch.set_num_threads(1)
    template, image, p, effort, known = task
    target = torch.from_numpy(image.astype(np.float32))[None]
    if not effort.fine:
        return register(template, target, p, effort)
    if not known:
        p, _ = register(template, target, p, Effort(70, 0.3, False))
    return register(template, target, p, Effort(22, 0.2, True))


def _resumed(path: Path) -> tuple[Tensor, Tensor]:
    """Template and control values of the prototype: velocities on the lattice, smoothed."""
    stored = np.load(path)
    values = torch.from_numpy(stored["p"].astype(np.float32))
    fitted = [fit_controls(_smooth(values[i : i + 1])) for i in range(len(values))]
    return torch.from_numpy(stored["template"].astype(np.float32))[None], torch.cat(fitted)


def _smooth(v: Tensor) -> Tensor:
    smoothed = ndimage.gaussian_filter(v.numpy(), (0, 0, 1.5, 1.5, 1.5), mode="nearest")
    return torch.from_numpy(smoothed)


if __name__ == "__main__":
    main()
