"""Score models on the same slices: ``python -m training.compare --models NAME=WEIGHTS …``.

Every model imputes each modality from the others and all from each single one, on the 1 mm
model grid.  The standard deviation of each is multiplied by one factor, the mean over the
validation part of what would make 90 % intervals cover 90 % there; coverage on other parts
is that of the calibrated interval.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from benchmarks.reporting import table

from training.compare.loading import imputer_of
from training.compare.scoring import rows_of
from training.data.multimodal import Visit, load_visits
from training.data.sources import data_hash
from training.data.splits import PARTS, Part
from training.harness import machine

Row = dict[str, Any]
FIGURES = ("psnr", "ssim", "spearman", "coverage", "scale", "lesions")


def compared(
    models: Mapping[str, Path], visits: Mapping[Part, Sequence[Visit]], every: int
) -> tuple[list[Row], dict[str, float]]:
    """A row for each model, visit, case and target, and the models' calibrated factors."""
    rows: list[Row] = []
    scales: dict[str, float] = {}
    for name, path in models.items():
        imputer = imputer_of(path)
        # Validation first: the factor found there is applied to the other parts.
        for part in sorted(visits, key=lambda part: part != "validation"):
            for visit in visits[part]:
                found = rows_of(imputer, visit, every, scales.get(name, 1.0))
                rows += [{"model": name, "part": part, **row} for row in found]
            if part == "validation":
                scales |= _calibrated(name, rows)
    return rows, scales


def _calibrated(name: str, rows: Sequence[Row]) -> dict[str, float]:
    known = [row["scale"] for row in rows if row["model"] == name and "scale" in row]
    return {name: mean(known)} if known else {}


def summary(rows: Sequence[Row]) -> list[Row]:
    """By model, part and what was given: means over a person's visits, people, then targets.

    Also over the targets other than T1c (``all but T1c``): enhancement cannot be known.
    """
    out = []
    groups = dict.fromkeys((r["part"], r["given"], r["model"]) for r in rows)
    for part, given, model in sorted(groups, key=lambda g: (g[0], g[1] != "others", g[1])):
        of_group = [r for r in rows if (r["part"], r["given"], r["model"]) == (part, given, model)]
        by_target = {
            t: _over_people(of_group, t) for t in dict.fromkeys(r["target"] for r in of_group)
        }
        head = {"part": part, "given": given, "model": model}
        out += [{**head, "target": t, **figures} for t, figures in by_target.items()]
        for label, left_out in (("all", ()), ("all but T1c", ("T1c",))):
            kept = [f for t, f in by_target.items() if t not in left_out]
            if kept and (label == "all" or len(kept) < len(by_target)):
                out.append({**head, "target": label, **_means(kept)})
    return out


def _over_people(rows: Sequence[Row], target: str) -> Row:
    found = [r for r in rows if r["target"] == target]
    people = dict.fromkeys(r["person"] for r in found)
    return _means([_means([r for r in found if r["person"] == p]) for p in people])


def _means(rows: Sequence[Mapping[str, Any]]) -> Row:
    known = {f: [r[f] for r in rows if r.get(f) is not None] for f in FIGURES}
    return {f: mean(values) if values else None for f, values in known.items()}


def main() -> None:
    """Print tables; write ``compare.md`` and ``compare.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument(
        "--models", nargs="+", required=True, metavar="NAME=WEIGHTS",
        help="weights of runs, with run.json beside them",
    )  # fmt: skip
    parser.add_argument("--parts", default="validation,test", help="comma separated")
    parser.add_argument("--every", type=int, default=6, help="one slice in N")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    parts = [part for part in PARTS if part in args.parts.split(",")]
    models = dict(_model(entry, parser) for entry in args.models)
    visits = {part: load_visits(args.data, parts=(part,)) for part in parts}
    rows, scales = compared(models, visits, args.every)
    found = summary(rows)
    command = machine.command("training.compare", sys.argv[1:])
    record = {
        "command": command,
        "commit": machine.commit(),
        "data_hash": data_hash(args.data),
        "hardware": machine.hardware(),
        "std_scale": scales,
        "summary": found,
        "rows": rows,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "compare.json").write_text(json.dumps(record, indent=1) + "\n")
    (args.out / "compare.md").write_text(markdown(found, scales, command))
    print((args.out / "compare.md").read_text())


def markdown(found: Sequence[Row], scales: Mapping[str, float], command: str) -> str:
    """The summary as tables, by part and what was given."""
    text = [f"`{command}`\n"]
    if scales:
        factors = ", ".join(f"{name} × {scale:.3f}" for name, scale in scales.items())
        text.append(f"Standard deviations calibrated on the validation part: {factors}.\n")
    for part, given in dict.fromkeys((r["part"], r["given"]) for r in found):
        label = "the other modalities" if given == "others" else f"{given} alone"
        text.append(f"## {part}, from {label}\n")
        chosen = [r for r in found if (r["part"], r["given"]) == (part, given)]
        shown = sorted(chosen, key=lambda r: r["target"])
        columns = ("target", "model", *FIGURES)
        text.append(table([{c: r[c] for c in columns} for r in shown]) + "\n")
    return "\n".join(text)


def _model(entry: str, parser: argparse.ArgumentParser) -> tuple[str, Path]:
    name, _, path = entry.partition("=")
    if not path or not Path(path).is_file():
        parser.error(f"{entry}: write a name, =, and the weights of a run")
    return name, Path(path)


if __name__ == "__main__":
    main()
