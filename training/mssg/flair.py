"""The template's FLAIR, imputed from its T1 by the embedded MMHVAE.

`python -m training.mssg.flair --run runs/mssg` reads `bases.npz` and writes `flair.npy`, the
values of the template's brain voxels, normalised intensity.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_medsyn.exploration.session import Session
from napari_medsyn.models.mssg.lattice import LOW, SHAPE
from napari_medsyn.scans.study import Scan, Study

#: The healthy people's 2 mm grid: origin of its first voxel, mm.
ORIGIN = (-90.5, -125.5, -71.5)


def main() -> None:
    """Impute it; about half a minute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    arguments = parser.parse_args()
    with np.load(arguments.run / "bases.npz") as z:
        brain, values = z["brain"], z["t1"]
    volume = np.zeros(SHAPE, np.float32)
    volume[brain] = values
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = np.array(ORIGIN) + 2.0 * np.array(LOW)
    session = Session()
    session.choose_model("mmhvae-brain-mr-1mm")
    session.set_study(Study((Scan(voxels=volume * 1000, affine=affine, modality="T1"),)))
    session.set_control("targets", ("FLAIR",))
    session.set_control("temperature", 0.0)
    session.set_kinds(("imputed",))
    session.impute()
    if session.results is None:
        raise SystemExit(f"nothing was imputed: {session.failure}")
    flair = session.results.arrays["imputed_FLAIR"]
    np.save(arguments.run / "flair.npy", flair[brain].astype(np.float32))
    print(f"FLAIR of {brain.sum()} voxels, mean {flair[brain].mean():.3f}")


if __name__ == "__main__":
    main()
