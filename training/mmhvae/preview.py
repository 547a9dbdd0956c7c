"""Draw the package's picture: ``python -m training.mmhvae.preview --results DIR --out FILE``.

The sample patient's T1 and T2 beside the imputed FLAIR and its uncertainty, as
``medsyn demo --out DIR`` (or ``medsyn impute``) wrote them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

from napari_medsyn.resources import folder
from napari_medsyn.scans.display import to_display
from napari_medsyn.scans.reading import read_scan

mpl.use("Agg")
from matplotlib import pyplot as plt

SAMPLE = folder() / "sample"


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    lesion = to_display(read_scan(SAMPLE / "lesion.nii.gz")).array
    level = int(np.argmax((lesion > 0).sum(axis=(1, 2))))
    panels = {
        "T1": (SAMPLE / "T1.nii.gz", "gray", None),
        "T2": (SAMPLE / "T2.nii.gz", "gray", None),
        "SYNTHETIC FLAIR": (args.results / "imputed_FLAIR.nii.gz", "gray", 1.1),
        "SYNTHETIC uncertainty": (args.results / "uncertainty_FLAIR.nii.gz", "magma", 0.2),
    }
    figure, axes = plt.subplots(1, len(panels), figsize=(10, 3), facecolor="black")
    for axis, (title, (path, colours, high)) in zip(axes, panels.items(), strict=True):
        plane = to_display(read_scan(path)).array[level]
        axis.imshow(plane, cmap=colours, vmin=0, vmax=high)
        axis.set_title(title, color="white", fontsize=10)
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(args.out, dpi=100)


if __name__ == "__main__":
    main()
