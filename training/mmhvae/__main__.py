"""``python -m training.mmhvae --data ../shared/data --out runs/base [--steps N] …``."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import fields
from pathlib import Path

import torch
from safetensors.torch import load_file

from training.mmhvae.config import ARCHITECTURE, Config
from training.mmhvae.loop import Trainer
from training.mmhvae.scans import RealSlices, data_hash, load_visits
from training.mmhvae.simulate import Simulator


def main() -> None:
    """Train one run; see ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the shared data")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    parser.add_argument("--start", type=Path, help="weights.safetensors of an earlier run")
    parser.add_argument("--resume", action="store_true", help="go on with --out's checkpoint")
    for entry in fields(Config):
        name = "--" + entry.name.replace("_", "-")
        parser.add_argument(name, type=type(entry.default), default=entry.default)
    args = parser.parse_args()
    config = Config(**{f.name: getattr(args, f.name) for f in fields(Config)})

    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.threads)
    held_out = tuple(filter(None, config.hold_out.split(",")))
    # Patient 07 is scored by the benchmark: not even the shape of its lesions is trained on.
    withheld = tuple({"patient07", *held_out})
    simulator = Simulator(args.data, exclude=withheld) if config.real < 1 else None
    real = None
    if config.real > 0:
        visits = load_visits(args.data, cache=args.out.parent / "cache")
        real = RealSlices([v for v in visits if v.person not in held_out])
    record = {
        "command": shlex.join(["python", "-m", "training.mmhvae", *sys.argv[1:]]),
        "config": config.as_dict(),
        "architecture": ARCHITECTURE,
        "start": str(args.start) if args.start else None,
        "data_hash": data_hash(args.data),
    }
    (args.out / "run.json").write_text(json.dumps(record, indent=2))

    trainer = Trainer(config, simulator, real, args.out)
    if args.start:
        trainer.start_from(load_file(args.start))
    if args.resume and (args.out / "checkpoint.safetensors").exists():
        trainer.resume()
    trainer.run()


if __name__ == "__main__":
    main()
