"""Simulator: how fast it is, and whether its heads are what was asked for.

``python -m benchmarks.simulator --data ../shared/data``; one thread, times are of the CPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from training.data.grids import MODALITIES
from training.simulator import Covariates, Simulator
from training.simulator.anatomy import GRID_2MM
from training.simulator.looks import ALL_NAMES, FLUIDS, Look
from training.simulator.scanner import Scanner

from benchmarks.reporting import processor, report

#: Without what varies: the contrast is compared, not the noise.
CLEAN = Scanner(point_spread_mm=(0.5, 0.5), thick_share=0.0, bias=(0.0, 0.0), noise=(0.0, 0.0))
#: What is asked for: ml and ml, evenly on a logarithmic scale, and shares of the anatomy's own.
VENTRICLES, LOADS, THICKNESSES = (8.0, 60.0), (0.5, 40.0), (0.85, 1.05)
#: Tissue means of fewer voxels are left out.
FEWEST = 200


def cpu_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median seconds of CPU time of one call, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return float(np.median(times))


def speed(simulator: Simulator, repeats: int, seed: int) -> list[dict[str, Any]]:
    """Volumes and slabs against what is least: resampling four channels once."""
    generator = torch.Generator().manual_seed(seed)
    for spacing in (2.0, 1.0):  # what anatomies keep is made before the clock runs
        for anatomy in simulator.usable(spacing):
            _ = anatomy.walls, anatomy.normals
    volume = torch.rand(1, 4, *GRID_2MM.shape, generator=generator)
    grid = F.affine_grid(torch.eye(3, 4)[None], list(volume.shape), align_corners=True)
    grid = grid + 0.01 * torch.randn(grid.shape, generator=generator)
    bare = cpu_seconds(lambda: F.grid_sample(volume, grid, align_corners=True), repeats)
    cases: dict[str, Callable[[], object]] = {
        "2 mm volume": lambda: simulator.draw(1, generator),
        "2 mm volume, sizes asked": lambda: simulator.draw(
            1, generator, covariates=[Covariates(ventricle_ml=20.0, thickness_mm=3.0)]
        ),
        "1 mm slab of 3 slices": lambda: simulator.draw(1, generator, spacing=1.0, slab=3),
    }
    rows = [{"what": "grid_sample, 4 x 91 x 109 x 91", "CPU s": bare, "of it": 1.0}]
    for name, work in cases.items():
        seconds = cpu_seconds(work, repeats)
        rows.append({"what": name, "CPU s": seconds, "of it": seconds / bare})
    return rows


def sizes(simulator: Simulator, n: int, seed: int) -> list[dict[str, Any]]:
    """What was asked for against what heads have, each size in an order of its own."""
    generator = torch.Generator().manual_seed(seed)
    usable = simulator.usable(2.0)
    anatomies = torch.randint(len(usable), (n,), generator=generator).tolist()
    orders = [torch.randperm(n, generator=generator) for _ in range(3)]
    ventricles, loads = (
        np.geomspace(*limits, n)[order].tolist()
        for limits, order in zip((VENTRICLES, LOADS), orders, strict=False)
    )
    shares = np.linspace(*THICKNESSES, n)[orders[2]].tolist()
    asked = [
        Covariates(
            ventricle_ml=ventricle, lesion_ml=load, thickness_mm=share * usable[a].thickness(2.0)
        )
        for ventricle, load, share, a in zip(ventricles, loads, shares, anatomies, strict=True)
    ]
    got: list[Covariates] = []
    for one, which in zip(asked, anatomies, strict=True):
        made = simulator.draw(1, generator, covariates=[one], anatomies=[which])
        got.extend(made.covariates)
    rows = []
    for name in ("ventricle_ml", "lesion_ml", "thickness_mm"):
        wanted = np.array([getattr(c, name) for c in asked])
        off = np.abs(np.array([getattr(c, name) for c in got]) / wanted - 1)
        rows.append(
            {
                "size": name,
                "asked from": float(wanted.min()),
                "to": float(wanted.max()),
                "off by, median %": 100 * float(np.median(off)),
                "off by, at most %": 100 * float(off.max()),
            }
        )
    return rows


def contrast(simulator: Simulator, seed: int) -> list[dict[str, Any]]:
    """Tissue means of heads painted in each measured look against that look.

    Scaling to the 99.5th percentile moves them all, partial volume the thin ones: the
    error is told as it is and with the one factor taken out that fits best.
    """
    rows = []
    for m, modality in enumerate(MODALITIES):
        measured = simulator.looks.by_modality[m]
        plain, scaled = [], []
        for i, means in enumerate(measured):
            table = simulator.looks.typical.clone()
            table[m] = means
            generator = torch.Generator().manual_seed(seed + i)
            made = simulator.draw(1, generator, scanner=CLEAN, look=Look(table))
            found, there = tissue_means(made.images[0, m], made.tissues[0])
            found, wanted = found[there], means[there]
            factor = float((found @ wanted) / (found @ found))
            plain.append(float((found - wanted).abs().mean()))
            scaled.append(float((factor * found - wanted).abs().mean()))
        if measured:
            rows.append(
                {
                    "modality": modality,
                    "looks": len(measured),
                    "mean abs. difference": float(np.mean(plain)),
                    "with one factor": float(np.mean(scaled)),
                }
            )
    return rows


def tissue_means(image: Tensor, tissues: Tensor) -> tuple[Tensor, Tensor]:
    """(13,) mean of each tissue, and (13,) bool: those that can be compared.

    Fluids are measured by their purest part, so they are compared by no mean.
    """
    codes = tissues.long().flatten()
    counts = torch.bincount(codes, minlength=len(ALL_NAMES) + 1)[1:]
    sums = torch.bincount(codes, image.flatten().double(), len(ALL_NAMES) + 1)[1:]
    solid = torch.tensor([name not in FLUIDS for name in ALL_NAMES])
    return (sums / counts.clamp_min(1)).float(), (counts >= FEWEST) & solid


def main() -> None:
    """Print three tables, each with its line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    simulator = Simulator(args.data)
    opened = time.process_time() - start
    facts = {"processor": processor(), "anatomies": len(simulator.anatomies), "seed": args.seed}
    report("simulator-sizes", sizes(simulator, args.heads, args.seed), heads=args.heads, **facts)
    report("simulator-contrast", contrast(simulator, args.seed), **facts)
    report(
        "simulator-speed", speed(simulator, args.repeats, args.seed), opening_cpu_s=opened, **facts
    )


if __name__ == "__main__":
    main()
