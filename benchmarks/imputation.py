"""How well people never trained on are imputed, through the product's own door.

``python -m benchmarks.imputation --runs patient07,patient12=runs/a2/weights.safetensors``

Each case loads only the scans that are given, prepares them, runs the model in this
process and compares what comes back on the patient's grid with the scan that was kept
away: mean over axial slices with more than 1,500 brain voxels of PSNR (range of the
reference slice) and SSIM, brain-masked, 1 = the 99.5th percentile of the brain.  A person
is scored by the weights of the run that held that person out, and left out without one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from training.mmhvae.package import card as make_card

from benchmarks.reporting import table
from benchmarks.thinned import ThinnedCaches, whole_planes
from benchmarks.visits import MODALITIES, Case, LinearBaseline, Visit, cases, load_visits
from napari_medsyn.evaluation.fidelity import coverage, fidelity, spread_against_error
from napari_medsyn.exploration.caching import Caches
from napari_medsyn.exploration.requests import Finished, PreparationOptions, Request
from napari_medsyn.exploration.running import run
from napari_medsyn.registry.card import parse_card, read_card

#: Figures of one row that are averaged, in the order they are shown.
FIGURES = ("psnr", "ssim", "spearman", "cover90", "std scale", "linear psnr", "linear ssim")
#: What the issue asks for: kind of case to PSNR in dB and SSIM.
TARGETS = {"others": (26.0, 0.92), "T1": (24.5, 0.89)}
#: Half the width of a Gaussian's central 90 %, in standard deviations.
HALF_90 = float(norm.ppf(0.95))


def make_package(weights: Path, folder: Path) -> Path:
    """A package of a run's weights, for the product to load as any other."""
    folder.mkdir(parents=True)
    shutil.copyfile(weights, folder / "weights.safetensors")
    content = weights.read_bytes()
    values = make_card(weights.parent, "0.0.0", [])
    values["files"] = [
        {
            "name": "weights.safetensors",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    ]
    text = json.dumps(values)
    parse_card(text)
    (folder / "card.json").write_text(text)
    return folder


def impute(
    visit: Visit, case: Case, package: Path, caches: Caches, settings: Mapping[str, Any]
) -> tuple[Finished, Request]:
    """One case, as an engine computes it."""
    kinds = ("imputed", "uncertainty")
    request = Request(
        generation=1,
        study=visit.study(case.present),
        package=package,
        controls={**settings, "present": case.present, "targets": case.targets},
        outputs=tuple(f"{kind}_{m}" for m in case.targets for kind in kinds),
        options=PreparationOptions(),
        device="auto",
    )
    *_, last = run(request, caches)
    assert isinstance(last, Finished)
    return last, request


def score(
    truth: NDArray[np.float32],
    imputed: NDArray[np.float32],
    std: NDArray[np.float32],
    brain: NDArray[np.bool_],
) -> dict[str, float]:
    """Fidelity and honesty of one imputed scan.

    `std scale` is what the standard deviation would have to be multiplied by for 90 % of
    the errors to lie in its 90 % interval; `gain` what the image would have to be
    multiplied by to have the least squared error: 1 if its overall scale is right.
    """
    error = np.where(brain, imputed - truth, 0)
    quality = fidelity(truth, imputed, brain)
    inside = std[brain] > 0
    ratio = np.abs(error[brain][inside]) / std[brain][inside]
    gain = float((truth * imputed)[brain].sum() / (imputed[brain] ** 2).sum())
    return {
        "psnr": quality.psnr,
        "ssim": quality.ssim,
        "spearman": spread_against_error(std, error, brain),
        "cover90": coverage(std, error, brain),
        "std scale": float(np.quantile(ratio, 0.9)) / HALF_90,
        "gain": gain,
        "psnr, right gain": fidelity(truth, gain * imputed, brain).psnr,
        "slices": quality.slices,
    }


def score_visit(
    visit: Visit,
    held_out: frozenset[str],
    package: Path,
    baseline: LinearBaseline,
    settings: Mapping[str, Any],
    every: int,
) -> Iterable[dict[str, Any]]:
    """One row for each case and target."""
    for case in cases(visit):
        # Nothing is cut out of a tilted brain: each of its planes needs many slices.
        step = 1 if visit.cohort == "own scale" else every
        caches = ThinnedCaches(step)
        finished, request = impute(visit, case, package, caches, settings)
        prepared = caches.prepared(request.study, read_card(package), request.options)
        brain = visit.brain & whole_planes(prepared, step)
        for target in case.targets:
            truth = visit.truth(target)
            row: dict[str, Any] = {
                "visit": visit.name,
                "person": visit.person,
                "cohort": visit.cohort,
                "given": case.kind,
                "inputs": "+".join(case.present),
                "target": target,
            }
            std = finished.arrays[f"uncertainty_{target}"]
            row |= score(truth, finished.arrays[f"imputed_{target}"], std, brain)
            weights = baseline.fit(held_out, case.present, target)
            linear = None
            if weights is not None:
                linear = fidelity(truth, baseline.predict(visit, weights, case.present), brain)
            row["linear psnr"] = linear.psnr if linear else None
            row["linear ssim"] = linear.ssim if linear else None
            yield {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


def averages(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each cohort and kind of case: each target over people, then over the targets.

    A person's visits are averaged first, so that each person counts once.
    """
    out = []
    for cohort in dict.fromkeys(row["cohort"] for row in rows):
        for kind in TARGETS:
            of_kind = [r for r in rows if (r["cohort"], r["given"]) == (cohort, kind)]
            by_target = {}
            for target in MODALITIES:
                found = [r for r in of_kind if r["target"] == target]
                people = dict.fromkeys(r["person"] for r in found)
                if people:
                    each = [_mean([r for r in found if r["person"] == p]) for p in people]
                    by_target[target] = {**_mean(each), "n": len(people)}
            for target, figures in by_target.items():
                out.append({"cohort": cohort, "given": kind, "target": target, **figures})
            if by_target:
                n = len({r["person"] for r in of_kind})
                mean_of_all = {**_mean(list(by_target.values())), "n": n}
                out.append({"cohort": cohort, "given": kind, "target": "all", **mean_of_all})
    return out


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    found = {name: [r[name] for r in rows if r[name] is not None] for name in FIGURES}
    return {name: round(mean(values), 4) if values else None for name, values in found.items()}


def card_metrics(summary: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The summary as figures for the model's card."""
    given = {"others": "from the other modalities", "T1": "from T1 alone"}
    sets = {
        "test": "multiple sclerosis, patient 07 (Lesjak et al. 2017), test",
        "validation": "multiple sclerosis, patient 12 (Lesjak et al. 2016), validation",
        "train": "people that were trained on",
        "own scale": "patient 07 at another scale and pose, test",
    }
    metrics = []
    for row in summary:
        note = given[row["given"]]
        if row["target"] == "all":
            note += "; mean over the targets"
        for name, label, digits in (
            ("psnr", "PSNR (dB)", 2),
            ("ssim", "SSIM", 3),
            ("spearman", "Spearman of std and |error|", 2),
            ("cover90", "Share of errors in the 90 % interval", 3),
        ):
            where = "" if row["target"] == "all" else f" {row['target']}"
            metrics.append(
                {
                    "name": f"{label}{where}",
                    "value": round(row[name], digits),
                    "direction": "higher",
                    "data_set": sets[row["cohort"]],
                    "n": row["n"],
                    "note": note,
                }
            )
    return metrics


def read_runs(entries: Iterable[str]) -> dict[frozenset[str], Path]:
    """``patient01,glioma=weights.safetensors`` to people and file."""
    runs = {}
    for entry in entries:
        people, _, path = entry.partition("=")
        if not path:
            raise SystemExit(f"{entry}: write the people held out, =, and the weights")
        runs[frozenset(people.split(","))] = Path(path)
    return runs


def main() -> None:
    """Score every visit that a run has held out; print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--runs", nargs="+", required=True, metavar="PEOPLE=WEIGHTS",
        help="people held out (comma separated) and the run's weights",
    )  # fmt: skip
    parser.add_argument("--own-scale", action="store_true", help="patient 07 at another scale, too")
    parser.add_argument("--people", default="", help="only these, comma separated")
    parser.add_argument("--every", type=int, default=1, help="a quick look at 1 slice in N")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--temperature", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help="folder for imputation.json and metrics.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    settings = {"samples": args.samples, "temperature": args.temperature, "seed": 0}
    runs = read_runs(args.runs)
    visits = load_visits(args.data, own_scale=args.own_scale)
    baseline = LinearBaseline(visits)
    only = set(filter(None, args.people.split(",")))

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        packages = {
            people: make_package(path, Path(temporary) / str(i))
            for i, (people, path) in enumerate(runs.items())
        }
        for visit in visits:
            held_out = next((people for people in runs if visit.person in people), None)
            if held_out is None or (only and visit.person not in only):
                continue
            package = packages[held_out]
            for row in score_visit(visit, held_out, package, baseline, settings, args.every):
                print(json.dumps(row), flush=True)
                rows.append(row)
    if not rows:
        raise SystemExit("nobody is held out by these runs")
    show(rows, args.out)


def show(rows: Sequence[Mapping[str, Any]], out: Path | None) -> None:
    """Print what each visit and all together got; write it into `out`."""
    shown = ("visit", "inputs", "target", "psnr", "ssim", "linear psnr", "linear ssim",
             "spearman", "cover90", "std scale", "gain", "psnr, right gain")  # fmt: skip
    print("\n" + table([{name: row[name] for name in shown} for row in rows]))
    summary = averages(rows)
    for row in summary:
        psnr, ssim = TARGETS[row["given"]]
        met = row["psnr"] >= psnr and row["ssim"] >= ssim
        row["wanted"] = f"{psnr} / {ssim} {'met' if met else 'missed'}"
        if row["target"] != "all":
            row["wanted"] = ""
    print("\n" + table(summary))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        record = {"rows": list(rows), "summary": summary}
        (out / "imputation.json").write_text(json.dumps(record, indent=2))
        (out / "metrics.json").write_text(json.dumps(card_metrics(summary), indent=2))


if __name__ == "__main__":
    main()
