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

from training.data.splits import part_of, people
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
    simulator = None
    if config.real < 1:
        maps = tuple(n for n in range(1, 21) if part_of(f"synthseg-{n:02}") == "train")
        masks = people("ms", "validation", "test")
        simulator = Simulator(args.data, tuple(m.replace("ms-", "patient") for m in masks), maps)
    real = None
    if config.real > 0:
        visits = load_visits(args.data, cache=args.out.parent / "cache")
        names = {"patient07": "ms-07", "glioma": "glioma-00001"}
        real = RealSlices(
            [
                v
                for v in visits
                if part_of(names.get(v.person, v.person.replace("patient", "msv-"))) == "train"
            ]
        )
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
