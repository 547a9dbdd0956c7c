"""Calibrates the uncertainty on the validation part: ``python -m training.mmhvae.calibrate``.

Two constants, written as ``calibration.json`` beside the weights and from there onto the
card: by how much the overall brightness of an imputed scan is off (`gain_spread`), and by
what the rest of the standard deviation must be multiplied for 90 % of the errors to lie in
the 90 % interval (`std_scale`).
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

#: Halvings of the interval that the factor is looked for in.
HALVINGS = 40
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

    @property
    def gain(self) -> float:
        """What the image would have to be multiplied by for the least squared error."""
        return float((self.real * self.mean).sum() / (self.mean**2).sum())


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
                real = planes(visit, target, slices)
                found.append(Answer(real[mask], made.mean[target][mask], made.std[target][mask]))
    return found


def gain_spread(found: Sequence[Answer]) -> float:
    """Root mean square of how far the gains are from 1."""
    return float(np.sqrt(np.mean([(answer.gain - 1) ** 2 for answer in found])))


def covered(found: Sequence[Answer], scale: float, spread: float) -> float:
    """Mean over answers of the share of voxels whose error lies in the 90 % interval."""
    shares = []
    for answer in found:
        std = np.sqrt((scale * answer.std) ** 2 + (spread * answer.mean) ** 2)
        shares.append(np.mean(np.abs(answer.real - answer.mean) <= HALF_90 * std))
    return float(np.mean(shares))


def std_scale(found: Sequence[Answer], spread: float, wanted: float = 0.9) -> float:
    """The factor with which the interval covers `wanted`; 0 if the gain's part is enough."""
    low, high = 0.0, WIDEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if covered(found, middle, spread) < wanted else (low, middle)
    return high


def main() -> None:
    """Measure and write ``calibration.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--every", type=int, default=6, help="one slice in N")
    args = parser.parse_args()
    torch.set_num_threads(1)
    out = args.run / "calibration.json"
    out.unlink(missing_ok=True)
    visits = load_visits(args.data, parts=("validation",))
    found = answers(imputer_of(args.run / "weights.safetensors"), visits, args.every)
    spread = gain_spread(found)
    scale = std_scale(found, spread)
    record = {
        "std_scale": round(scale, 4),
        "gain_spread": round(spread, 4),
        "people": sorted({visit.person for visit in visits}),
        "images": len(found),
        "coverage_before": round(covered(found, 1.0, 0.0), 4),
        "coverage_after": round(covered(found, scale, spread), 4),
    }
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
