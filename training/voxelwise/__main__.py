"""Fit the voxel-wise baseline: ``python -m training.voxelwise --data DIR --out runs/voxelwise``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from training.data.multimodal import load_visits
from training.data.sources import data_hash
from training.harness import machine
from training.voxelwise.regression import DEGREE, EVERY, RIDGE, VoxelWise


def main() -> None:
    """Fit on the visits of the training part; write ``weights.json`` and ``run.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    args = parser.parse_args()
    began = time.monotonic()
    fitted = VoxelWise.fit(load_visits(args.data, parts=("train",)))
    args.out.mkdir(parents=True, exist_ok=True)
    fitted.save(args.out / "weights.json")
    record = {
        "command": machine.command("training.voxelwise", sys.argv[1:]),
        "commit": machine.commit(),
        "config": {"degree": DEGREE, "ridge": RIDGE, "every": EVERY},
        "data_hash": data_hash(args.data),
        "hardware": machine.hardware(),
        "versions": machine.versions(),
        "elapsed_s": round(time.monotonic() - began, 1),
    }
    (args.out / "run.json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"{len(fitted.coefficients)} regressions in {args.out / 'weights.json'}")


if __name__ == "__main__":
    main()
