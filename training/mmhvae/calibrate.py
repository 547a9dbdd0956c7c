"""Calibrates the uncertainty on the validation part: ``python -m training.mmhvae.calibrate``.

What is written as ``calibration.json`` beside the weights, and from there onto the card, is
by what the standard deviation must be multiplied for 90 % of the errors to lie in the 90 %
interval (`std_scale`): in the validation people's real scans and in simulated heads of the
validation label maps, together.  The real ones come from a scanner that training has seen;
what a strange one does, and anything about T1c, is known from the simulated ones alone,
whose contrast is drawn at random.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.compare.imputers import Imputer
from training.compare.loading import imputer_of
from training.compare.scoring import HALF_90, brain, cases, planes, scored_slices
from training.data.multimodal import Visit, load_visits
from training.simulator.simulator import Simulator

#: Halvings of the interval that the factor is looked for in.
HALVINGS = 40
SEED = 12
WIDEST = 64.0


@dataclass(frozen=True, eq=False)
class Answer:
    """One imputed scan against the real one, brain voxels only.

    Parameters
    ----------
    real, mean, std : (N,) normalised intensity; `std` as the network gives it.
    """

    real: NDArray[np.float32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]


def answers(imputer: Imputer, visits: Iterable[Visit], every: int) -> list[Answer]:
    """Every modality of the visits, imputed from the others and from T1 alone."""
    found = []
    for visit in visits:
        slices = scored_slices(visit, every)
        mask = brain(visit, slices)
        for case in cases(visit, singles=()):
            made = imputer(visit, case.present, slices)
            if made.std is None:
                raise ValueError("this model gives no standard deviation to calibrate")
            for target in case.targets:
                real = planes(visit, target, slices)[mask]
                mean, std = made.mean[target][mask], made.std[target][mask]
                found.append(Answer(real, mean, std))
    return found


def simulated_visits(data: Path, n: int) -> list[Visit]:
    """Heads of the validation label maps with random contrast, as if they had been scanned."""
    heads = Simulator(data, parts=("validation",), sources=("synthseg",))
    generator = torch.Generator().manual_seed(SEED)
    found = []
    for number in range(n):
        made = heads.draw(1, generator, spacing=1.0)
        images = made.images[0].movedim(-1, 1).half().contiguous()
        mask = made.brain[0].movedim(-1, 0).contiguous()
        lesions = made.lesions[0].movedim(-1, 0).contiguous()
        name, present = f"simulated {number}", torch.ones(len(images), dtype=torch.bool)
        found.append(Visit(name, name, images, present, mask, lesions))
    return found


def covered(found: Sequence[Answer], scale: float) -> float:
    """Mean over answers of the share of voxels whose error lies in the 90 % interval."""
    shares = [np.mean(np.abs(a.real - a.mean) <= HALF_90 * scale * a.std) for a in found]
    return float(np.mean(shares))


def std_scale(found: Sequence[Answer], wanted: float = 0.9) -> float:
    """The factor with which the intervals cover `wanted`."""
    low, high = 0.0, WIDEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if covered(found, middle) < wanted else (low, middle)
    return high


def main() -> None:
    """Measure and write ``calibration.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--every", type=int, default=6, help="one slice in N")
    parser.add_argument("--simulated", type=int, default=4, help="simulated heads besides")
    args = parser.parse_args()
    torch.set_num_threads(1)
    out = args.run / "calibration.json"
    out.unlink(missing_ok=True)
    visits = load_visits(args.data, parts=("validation",))
    imputer = imputer_of(args.run / "weights.safetensors")
    real = answers(imputer, visits, args.every)
    found = real + answers(imputer, simulated_visits(args.data, args.simulated), args.every)
    scale = std_scale(found)
    record = {
        "std_scale": round(scale, 4),
        "people": sorted({visit.person for visit in visits}),
        "simulated_heads": args.simulated,
        "coverage_real": round(covered(real, scale), 4),
        "coverage_before": round(covered(found, 1.0), 4),
        "coverage_after": round(covered(found, scale), 4),
    }
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
