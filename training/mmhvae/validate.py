"""Score weights on visits on the model grid: ``python -m training.mmhvae.validate``.

Quick figures for choosing between runs; the figures that are quoted come from
``benchmarks/imputation.py``, which goes through the product's own door.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from napari_medsyn.evaluation.fidelity import coverage, fidelity, spread_against_error
from napari_medsyn.models.mmhvae import MMHVAE, Topology
from napari_medsyn.models.mmhvae_family import Encodings, MMHVAEFamily
from training.mmhvae.config import ARCHITECTURE, MODALITIES
from training.mmhvae.scans import Visit, load_visits


def impute(
    family: MMHVAEFamily, visit: Visit, present: list[str], every: int = 1, samples: int = 4
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, np.ndarray[Any, Any]], list[int]]:
    """Mean and spread (X, Y, n) of all modalities on every `every`-th slice with brain."""
    volumes = {
        m: visit.images[i].permute(1, 2, 0).float().numpy() for i, m in enumerate(MODALITIES)
    }
    mask = visit.mask.permute(1, 2, 0).numpy()
    encodings = Encodings(visit.name, volumes, mask)
    controls = {"present": present, "temperature": 0.5, "samples": samples, "seed": 0}
    slices = [int(k) for k in np.flatnonzero(mask.sum(axis=(0, 1)) > 1500)][::every]
    parts = [
        family.render(encodings, controls, region) for region in family.plan([], slices, controls)
    ]
    mean = {m: np.concatenate([p.mean[m] for p in parts], axis=2) for m in MODALITIES}
    std = {m: np.concatenate([p.std[m] for p in parts], axis=2) for m in MODALITIES}
    return mean, std, slices


def cases(visit: Visit) -> list[tuple[str, list[str], list[str]]]:
    """(name, present, scored targets): each modality from the others, all from T1 alone."""
    there = [m for m, p in zip(MODALITIES, visit.present.tolist(), strict=True) if p]
    found = [(f"others>{t}", [m for m in there if m != t], [t]) for t in there]
    if "T1" in there:
        found.append(("T1>all", ["T1"], [m for m in there if m != "T1"]))
    return found


def main() -> None:
    """Print one JSON line a visit and case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--people", default="", help="comma separated; all by default")
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    net = MMHVAE(Topology.from_card(ARCHITECTURE))
    net.load_state_dict(load_file(args.weights))
    family = MMHVAEFamily(SimpleNamespace(calibration=None), net, torch.device("cpu"))  # type: ignore[arg-type]
    for visit in load_visits(args.data, cache=args.weights.parent.parent / "cache"):
        if args.people and visit.person not in args.people.split(","):
            continue
        for name, present, targets in cases(visit):
            mean, std, slices = impute(family, visit, present, args.every)
            mask = visit.mask.permute(1, 2, 0).numpy()[:, :, slices]
            for target in targets:
                real = visit.images[MODALITIES.index(target)].permute(1, 2, 0).float().numpy()
                real = real[:, :, slices]
                error = mean[target] - real
                score = fidelity(real, mean[target], mask)
                line = {"visit": visit.name, "case": name, "target": target}
                scores = {
                    "psnr": score.psnr,
                    "ssim": score.ssim,
                    "spearman": spread_against_error(std[target], error, mask),
                    "cover90": coverage(std[target], error, mask),
                    "scale": float((real * mean[target])[mask].sum() / (mean[target] ** 2).sum()),
                }
                print(json.dumps(line | {k: round(v, 4) for k, v in scores.items()}), flush=True)


if __name__ == "__main__":
    main()
