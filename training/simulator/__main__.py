"""Writes simulated people: ``python -m training.simulator --data ../shared/data --out runs/sim``.

Each head is one npz file without pickles: ``images`` (4, X, Y, Z) float16 in the order T1,
T1c, T2, FLAIR, ``tissues`` (X, Y, Z) uint8 and ``affine`` (4, 4), voxel index to MNI, mm.
``covariates.csv`` has what is recorded of each and, in columns that start with ``true_``,
everything; ``simulated.png`` with ``--picture`` shows an axial slice of each.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from napari_medsyn.errors import MedsynError
from training.data.grids import MODALITIES
from training.simulator.cohorts import COHORTS, draw_cohort
from training.simulator.covariates import Covariates
from training.simulator.simulator import Simulated, Simulator
from training.simulator.tissues import TISSUES
from training.simulator.volumes import Lattice

#: Height of the axial slice in the picture, MNI mm, and what is shown white.
SHOWN_Z, WHITE = 16.0, 1.1


def main() -> int:
    """Draw, write and say where; 2 where the data cannot be read."""
    args = _arguments()
    torch.set_num_threads(1)
    cohorts = {cohort.name: cohort for cohort in COHORTS}
    try:
        simulator = Simulator(args.data, parts=(args.part,), cache=args.cache)
    except MedsynError as error:
        print(error)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    strips = []
    for i in range(args.n):
        # One generator for each, so that the fifth head is the same whatever `n` is.
        generator = torch.Generator().manual_seed(args.seed * 1_000_003 + i)
        if args.cohort:
            drawn = draw_cohort(simulator, cohorts[args.cohort], 1, generator, spacing=args.spacing)
            made, recorded = drawn.truth, drawn.recorded[0]
        else:
            made = simulator.draw(1, generator, spacing=args.spacing)
            recorded = made.covariates[0]
        name = f"head-{i:03d}"
        write_head(args.out / f"{name}.npz", made)
        rows.append(row(name, made.anatomies[0], recorded, made.covariates[0]))
        strips.append(strip(made))
    with (args.out / "covariates.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    if args.picture:
        Image.fromarray(np.concatenate(strips)).save(args.out / "simulated.png")
    print(f"{len(rows)} heads in {args.out}")
    return 0


def write_head(path: Path, made: Simulated) -> None:
    """The first head as an npz file."""
    np.savez_compressed(
        path,
        images=made.images[0].numpy().astype(np.float16),
        tissues=made.tissues[0].numpy(),
        affine=affine(made.lattice),
    )


def affine(lattice: Lattice) -> NDArray[np.float64]:
    """(4, 4) voxel index to MNI, mm."""
    out = np.diag([lattice.spacing] * 3 + [1.0])
    out[:3, 3] = lattice.origin
    return out


def row(name: str, anatomy: str, recorded: Covariates, truth: Covariates) -> dict[str, object]:
    """One line of the table; what is not known is empty."""
    known = {key: _cell(value) for key, value in asdict(recorded).items()}
    true = {f"true_{key}": _cell(value) for key, value in asdict(truth).items()}
    return {"name": name, "anatomy": anatomy, **known, **true}


def strip(made: Simulated) -> NDArray[np.uint8]:
    """(Y, 5 X) one axial slice of all modalities and of the tissues, anterior up."""
    z = round((SHOWN_Z - made.lattice.origin[2]) / made.lattice.spacing)
    tiles = [made.images[0, m, :, :, z] / WHITE for m in range(len(MODALITIES))]
    tiles.append(made.tissues[0, :, :, z] / (len(TISSUES) + 1))
    turned = [tile.clamp(0, 1).T.flip(0) for tile in tiles]
    return (255 * torch.cat(turned, dim=1)).to(torch.uint8).numpy()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    return "" if value is None else value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.simulator", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="shared folder or packed file")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--spacing", type=float, choices=(1.0, 2.0), default=2.0)
    parser.add_argument("--part", choices=("train", "validation", "test"), default="train")
    parser.add_argument("--cohort", choices=[cohort.name for cohort in COHORTS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", action="store_true")
    parser.add_argument("--cache", type=Path, help="of the healthy people's bias fields")
    args = parser.parse_args()
    if args.n < 1:
        parser.error("--n is at least 1")
    return args


if __name__ == "__main__":
    raise SystemExit(main())
