"""Draw the judges' pictures: ``python -m training.judges.preview --out DIR``.

From the packages as they are and the synthetic sample patient; no real scan is shown.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from napari_medsyn.evaluation.judging import judge
from napari_medsyn.models.families import load_judge
from napari_medsyn.models.judges.covariates import COARSE, CovariateJudge
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.sample import sample_study
from training.judges.covariates.package import MODEL_ID as COVARIATES
from training.judges.tissue.package import MODEL_ID as TISSUE

mpl.use("Agg")
from matplotlib import pyplot as plt


def main() -> None:
    """Write one picture for each judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    draw_tissues(args.out / f"{TISSUE}.png")
    draw_maps(args.out / f"{COVARIATES}.png")


def draw_tissues(path: Path) -> None:
    """The sample patient's T1 with the tissues over it, in three planes."""
    (answer,) = judge(sample_study(), [TISSUE], device="cpu")
    t1, codes = answer.prepared.volumes["T1"], answer.verdict.maps["tissues"]
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), facecolor="black")
    for axis, panel in enumerate(axes):
        image, drawn = (_plane(volume, axis, 0.52) for volume in (t1, codes))
        panel.imshow(image, cmap="gray", vmin=0, vmax=1.1)
        shown = np.ma.masked_equal(drawn, 0)
        panel.imshow(shown, cmap="tab10", vmin=0.5, vmax=10.5, alpha=0.55, interpolation="nearest")
        panel.axis("off")
    axes[1].set_title("Tissues of a SYNTHETIC T1", color="white", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def draw_maps(path: Path) -> None:
    """Where more tissue makes a brain look older: cortex, ventricles, fluid, each a slice."""
    entry = Catalogue().get(COVARIATES, "judge")
    assert entry.card is not None
    loaded = load_judge(entry.package, entry.card, "cpu")
    assert isinstance(loaded, CovariateJudge)
    topology = loaded.network.tissue.topology
    cells = [-(-size // COARSE) for size in topology.shape]
    maps = loaded.network.maps[0].reshape(topology.classes, *cells).numpy()
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), facecolor="black")
    for panel, (code, title) in zip(axes, ((1, "Cortex"), (6, "Ventricles"), (0, "White matter")),
                                    strict=True):  # fmt: skip
        image = _plane(maps[code], 2, 0.52)
        most = float(np.abs(image).max())
        panel.imshow(image, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="bilinear")
        panel.set_title(f"{title}: older in red", color="white", fontsize=10)
        panel.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def _plane(volume: Any, axis: int, where: float) -> Any:
    """One plane of an RAS+ volume, the head upright and its right on the viewer's left."""
    plane = np.take(volume, int(volume.shape[axis] * where), axis=axis)
    return plane.T[::-1, ::-1]


if __name__ == "__main__":
    main()
