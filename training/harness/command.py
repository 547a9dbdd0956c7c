"""The command line that every recipe has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from napari_medsyn.errors import MedsynError
from training.harness import machine
from training.harness.machine import Machine
from training.harness.options import add_options, read_options
from training.harness.recipe import Recipe
from training.harness.run import Diverged, Run

#: Exit status of a run that was stopped before its end: it may be resumed.
STOPPED = 75


def main(kind: type[Recipe[Any]], module: str, arguments: Sequence[str] | None = None) -> None:
    """Train one run of a recipe; see ``--help``.

    Parameters
    ----------
    module : what stands behind ``python -m``.
    arguments : of the command line; those of this process by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=kind.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    parser.add_argument("--start", type=Path, help="weights.safetensors to begin with")
    parser.add_argument(
        "--resume", action="store_true", help="go on from --out's checkpoint, if any"
    )
    add_options(parser, kind.Settings)
    options = parser.parse_args(given)
    settings = read_options(options, kind.Settings)
    if not options.data.exists():
        parser.error(f"{options.data} does not exist; give the data folder or the packed file")
    begun = (options.out / "checkpoint.safetensors").exists()
    if begun and not options.resume:
        parser.error(f"{options.out} holds a run; add --resume, or name another folder")

    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    try:
        where = Machine.of(settings.device, settings.precision)
        recipe = kind.open(settings, where, options.data, options.out.parent / "cache")
        facts = {
            "command": machine.command(module, given),
            "commit": machine.commit(),
            "start": str(options.start) if options.start else None,
        }
        run = Run(recipe, settings, options.out, facts)
        if begun:
            run.resume()
        elif options.start:
            run.start_from(load_file(options.start))
    except (ValueError, MedsynError) as error:
        parser.error(str(error))
    try:
        finished = run.go()
    except Diverged as error:
        sys.exit(str(error))
    print(f"{options.out}: step {run.step} of {settings.steps}, {run.elapsed / 60:.1f} minutes")
    if not finished:
        sys.exit(STOPPED)
