"""Whether MSSG-mini gives what is asked for: ``python -m benchmarks.stacks``.

People are drawn at random, with every covariate drawn on its own over the middle of its range,
and their stacks are brought to 2 mm and read by the covariate judge, which took no part in the
training.  Real slices that went the same way to 3.2 mm and back are read besides: the judge has
never seen anything so coarse.  Writes metrics for `training.mssg.stack.package`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from training.data.healthy import Healthy, load_healthy
from training.mssg.stack.config import LAYOUT
from training.mssg.stack.making import made
from training.mssg.stack.slices import CROP, FIRST, LAST, resampling, sliced

from napari_medsyn.evaluation.crops import judge_crops
from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.lattice import SHAPE
from napari_medsyn.models.stylegan2.network import Generator

#: What is asked for: least and most, uniform.
ASKED: Final = {"age": (22.0, 75.0), "ventricles": (12.0, 60.0), "lesions": (1.0, 40.0)}
#: Slices through the middle of the brain, where smoothness is measured.
MIDDLE: Final = slice(15, 60)

Volume = NDArray[np.float32]


def unsliced(slices: Volume) -> Volume:
    """Slices (SLICES, SIDE, SIDE) back on the crop (*SHAPE) of 2 mm, linearly."""
    x, y = (_upwards(n) for n in SHAPE[:2])
    volume = np.zeros(SHAPE, np.float32)
    volume[:, :, FIRST:LAST] = np.moveaxis(x @ slices @ y.T, 0, 2)
    # A shadow of the picture's blurred background is no brain.
    return np.where(volume > 0.05, volume, 0)


def _upwards(voxels: int) -> Volume:
    weights = resampling(voxels).T
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def asked(rng: np.random.Generator) -> dict[str, Any]:
    """Covariates of one person, each drawn on its own."""
    values: dict[str, Any] = {name: float(rng.uniform(*ends)) for name, ends in ASKED.items()}
    return values | {"sex": str(rng.choice(["F", "M"])), "cohort": str(rng.choice(["ixi", "ms"]))}


def roughness(slices: Volume) -> float:
    """Mean absolute step from one slice to the next, over that from one row to the next."""
    middle = slices[MIDDLE]
    inside = middle > 0.1
    through = np.abs(np.diff(middle, axis=0))[inside[1:] & inside[:-1]].mean()
    within = np.abs(np.diff(middle, axis=1))[inside[:, 1:] & inside[:, :-1]].mean()
    return float(through / within)


def figures(
    net: Generator, labels: LabelModel, healthy: Healthy, count: int
) -> list[dict[str, Any]]:
    """Metrics as a card has them."""
    rng = np.random.default_rng(2026)
    wanted = [asked(rng) for _ in range(count)]
    stacks = [made(net, labels, values, 1000 + n) for n, values in enumerate(wanted)]
    read = judge_crops(np.stack([unsliced(each) for each in stacks]))
    real = [sliced(healthy.volume(n)[CROP]) for n in range(len(healthy))]
    known = judge_crops(np.stack([unsliced(each) for each in real]))
    male = np.array([values["sex"] == "M" for values in wanted])
    rough = np.mean([roughness(s) for s in stacks]) / np.mean([roughness(s) for s in real])
    there = {"age": healthy.age, "ventricles": healthy.ventricle_ml}
    found = []
    for name in ("age", "ventricles"):
        of = np.array([values[name] for values in wanted])
        text = f"{name.capitalize()}: correlation of asked and read"
        found.append(_metric(text, np.corrcoef(of, read[name])[0, 1], count, "made people"))
        text = f"{name.capitalize()}: correlation of true and read, real slices as coarse"
        r = np.corrcoef(there[name], known[name])[0, 1]
        found.append(_metric(text, r, len(healthy), "IXI, test people"))
    right = np.mean((read["male"] > 0.5) == male)
    found.append(_metric("Sex: share read as asked", right, count, "made people"))
    right = np.mean((known["male"] > 0.5) == (healthy.sex == "M"))
    text = "Sex: share read as it is, real slices as coarse"
    found.append(_metric(text, right, len(healthy), "IXI, test people"))
    note = "1 is as rough as real; below 1 smoother, above 1 rougher"
    text = "Roughness through the slices, made over real"
    found.append({**_metric(text, float(rough), count, "made people"), "note": note})
    found[-1]["direction"] = "lower"
    return found


def _metric(name: str, value: float, n: int, of: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(float(value), 3),
        "direction": "higher",
        "data_set": of,
        "n": n,
        "extractor": "judge-covariates-t1",
    }


def main() -> None:
    """Measure the averaged generator of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--labels", type=Path, required=True, help="JSON of the label model")
    parser.add_argument("--count", type=int, default=60, help="people to make")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    net = Generator(LAYOUT).eval()
    net.load_state_dict(load_file(arguments.run / "weights.safetensors"))
    labels = LabelModel.from_json(json.loads(arguments.labels.read_text(encoding="utf-8")))
    healthy = load_healthy(arguments.data, parts=("test",))
    found = figures(net, labels, healthy, arguments.count)
    text = json.dumps(found, indent=1) + "\n"
    (arguments.run / "metrics.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
