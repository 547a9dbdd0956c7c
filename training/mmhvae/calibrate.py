"""Calibrates the uncertainty on the validation part: ``python -m training.mmhvae.calibrate``.

What it is calibrated on is the validation people's real scans and simulated heads of the
validation label maps.  The real ones come from a scanner that training has seen, so how far
a strange scanner's brightness is off, and anything about T1c, is known from the simulated
ones alone, whose contrast is drawn at random.

What is written as ``calibration.json`` beside the weights, and from there onto the card: by
how much the overall brightness of an imputed scan is off, for each modality (`gain_spread`),
and by what the rest of the standard deviation must be multiplied for 90 % of the errors to
lie in the 90 % interval (`std_scale`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
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
    modality : of both.
    real, mean, std : (N,) normalised intensity; `std` as the network gives it.
    """

    modality: str
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
                real = planes(visit, target, slices)[mask]
                mean, std = made.mean[target][mask], made.std[target][mask]
                found.append(Answer(target, real, mean, std))
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
        name = f"simulated {number}"
        found.append(Visit(name, name, images, torch.ones(len(images), dtype=torch.bool), mask))
    return found


def gain_spread(found: Sequence[Answer]) -> dict[str, float]:
    """For each modality, the root mean square of how far its gains are from 1."""
    off: dict[str, list[float]] = {}
    for answer in found:
        off.setdefault(answer.modality, []).append((answer.gain - 1) ** 2)
    return {modality: float(np.sqrt(np.mean(squares))) for modality, squares in off.items()}


def covered(found: Sequence[Answer], scale: float, spread: Mapping[str, float]) -> float:
    """Mean over answers of the share of voxels whose error lies in the 90 % interval."""
    shares = []
    for answer in found:
        gain = spread.get(answer.modality, 0.0)
        std = np.sqrt((scale * answer.std) ** 2 + (gain * answer.mean) ** 2)
        shares.append(np.mean(np.abs(answer.real - answer.mean) <= HALF_90 * std))
    return float(np.mean(shares))


def std_scale(found: Sequence[Answer], spread: Mapping[str, float], wanted: float = 0.9) -> float:
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
    parser.add_argument("--simulated", type=int, default=4, help="simulated heads besides")
    args = parser.parse_args()
    torch.set_num_threads(1)
    out = args.run / "calibration.json"
    out.unlink(missing_ok=True)
    visits = load_visits(args.data, parts=("validation",))
    imputer = imputer_of(args.run / "weights.safetensors")
    real = answers(imputer, visits, args.every)
    found = real + answers(imputer, simulated_visits(args.data, args.simulated), args.every)
    spread = gain_spread(found)
    scale = std_scale(found, spread)
    record = {
        "std_scale": round(scale, 4),
        "gain_spread": {modality: round(value, 4) for modality, value in spread.items()},
        "people": sorted({visit.person for visit in visits}),
        "simulated_heads": args.simulated,
        "coverage_real": round(covered(real, scale, spread), 4),
        "coverage_before": round(covered(found, 1.0, {}), 4),
        "coverage_after": round(covered(found, scale, spread), 4),
    }
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
