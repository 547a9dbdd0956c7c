"""How right are the shipped judges of T1: ``python -m benchmarks.judges --data ../shared/data``.

They read healthy people that no judge was trained on (IXI, test part), once without the
scanner's bias field, as in training, and once with it, as `medsyn judge` meets scans.
With ``--out`` the figures are also written as a card's metrics, one file for each judge.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from training.data.multimodal import normalise
from training.judges import people
from training.judges.tissue.classes import TISSUES, tissues_of
from training.judges.tissue.recipe import dice

from benchmarks.reporting import report
from napari_medsyn.models.families import load_judge
from napari_medsyn.models.judges.judge import Judge, Verdict
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.preparation import IntensityScale, PreparedStudy

if TYPE_CHECKING:
    from training.data.healthy import Healthy

TISSUE, COVARIATES = "judge-tissue-t1", "judge-covariates-t1"
DATA_SET = "IXI, held-out test people"
#: What the looks are called on the card.
NOTES = {False: "bias field corrected", True: "bias field left in"}


def main() -> None:
    """Score both judges; print tables, write metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--most", type=int, help="only so many people, for a quick look")
    parser.add_argument("--corrected-only", action="store_true", help="leave the second look out")
    parser.add_argument("--out", type=Path, help="folder for metrics of the cards")
    args = parser.parse_args()
    torch.set_num_threads(1)
    names = people.test_people()[: args.most]
    folk = people.load(args.data, names)
    mean_age = float(people.load(args.data, people.judges_people()).age.mean())
    tissue, covariates = loaded(TISSUE), loaded(COVARIATES)
    metrics: dict[str, list[dict[str, Any]]] = {TISSUE: [], COVARIATES: []}
    for biased in (False,) if args.corrected_only else (False, True):
        studies = [prepared_of(folk, i, biased=biased) for i in range(len(folk))]
        mapped = [tissue.read(study) for study in studies]
        told = [covariates.read(study) for study in studies]
        rows = [*tissue_rows(mapped, folk), *covariate_rows(told, folk, mean_age)]
        report("judges", rows, look=NOTES[biased], n=len(folk))
        for row in rows:
            metrics[row["judge"]].append(metric(row, len(folk), NOTES[biased]))
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        for judge, values in metrics.items():
            (args.out / f"{judge}.json").write_text(json.dumps(values, indent=2) + "\n")


def loaded(judge: str) -> Judge:
    """The installed judge of that id, on the CPU."""
    entry = Catalogue().get(judge, "judge")
    assert entry.card is not None
    return load_judge(entry.package, entry.card, "cpu")


def prepared_of(folk: Healthy, i: int, *, biased: bool) -> PreparedStudy:
    """One person's T1 as if the preparation had brought it to the grid that it is on."""
    brain = folk.brain[i]
    t1 = normalise(folk.t1[i].astype(np.float32), brain) if biased else folk.volume(i)
    x, y, z = brain.shape
    grid = Grid((x, y, z), folk.affine)
    return PreparedStudy(
        volumes={"T1": t1},
        mask=brain,
        grid=grid,
        reference=grid,
        reference_mask=brain,
        to_model=np.eye(4),
        scales={"T1": IntensityScale(0.0, 1.0)},
        reference_volumes={"T1": t1},
        steps=(),
        notes=(),
        content_hash=f"{folk.ids[i]}-{biased}",
    )


def tissue_rows(verdicts: Sequence[Verdict], folk: Healthy) -> list[dict[str, Any]]:
    """Dice of each tissue, and how its volume goes with the labelled one."""
    truth = [tissues_of(labels) for labels in folk.labels]
    overlap = np.mean(
        [dice(v.maps["tissues"], t) for v, t in zip(verdicts, truth, strict=True)], axis=0
    )
    voxel_ml = abs(float(np.linalg.det(folk.affine[:3, :3]))) / 1000
    rows = [_row(TISSUE, "Dice, mean over tissues", float(np.mean(overlap)))]
    for tissue, value in zip(TISSUES, overlap, strict=True):
        ours = np.array([v.readings[tissue.key] for v in verdicts])
        drawn = np.array([(t == tissue.code).sum() * voxel_ml for t in truth])
        rows.append(_row(TISSUE, f"Dice, {tissue.name.lower()}", float(value)))
        rows.append(_row(TISSUE, f"Volume r, {tissue.name.lower()}", correlation(ours, drawn)))
    return rows


def covariate_rows(
    verdicts: Sequence[Verdict], folk: Healthy, mean_age: float
) -> list[dict[str, Any]]:
    """Errors of age, sex and ventricular volume; `mean_age` is what ignorance would say."""
    read = {name: np.array([v.readings[name] for v in verdicts]) for name in verdicts[0].readings}
    male = folk.sex == "M"
    values: Mapping[str, tuple[float, str]] = {
        "Age, mean absolute error (years)": (_mae(read["age"], folk.age), "lower"),
        "Age, mean error (years)": (float(np.mean(read["age"] - folk.age)), "lower"),
        "Age of the mean-predictor, mean absolute error (years)":
            (float(np.abs(mean_age - folk.age).mean()), "lower"),
        "Sex, accuracy": (float(((read["male"] > 0.5) == male).mean()), "higher"),
        "Sex, Brier score": (float(np.mean((read["male"] - male) ** 2)), "lower"),
        "Ventricles, r": (correlation(read["ventricles"], folk.ventricle_ml), "higher"),
        "Ventricles, mean absolute error (ml)":
            (_mae(read["ventricles"], folk.ventricle_ml), "lower"),
    }  # fmt: skip
    return [_row(COVARIATES, name, value, way) for name, (value, way) in values.items()]


def metric(row: Mapping[str, Any], n: int, note: str) -> dict[str, Any]:
    """One row as a metric of a card."""
    return {
        "name": row["figure"],
        "value": round(float(row["value"]), 4),
        "direction": row["better"],
        "data_set": DATA_SET,
        "n": n,
        "note": f"{note}; benchmarks/judges.py",
    }


def correlation(ours: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """Pearson's r; NaN for fewer than two people."""
    return float(np.corrcoef(ours, truth)[0, 1]) if len(ours) > 1 else float("nan")


def _mae(ours: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    return float(np.abs(ours - truth).mean())


def _row(judge: str, figure: str, value: float, better: str = "higher") -> dict[str, Any]:
    return {"judge": judge, "figure": figure, "value": value, "better": better}


if __name__ == "__main__":
    main()
