"""Figures of the benchmarks of MSSG as metrics of a card, kept in one file that each adds to.

`training.mssg.package` puts ``metrics.json`` of the generator's folder on the card.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

Rows = Sequence[Mapping[str, Any]]
Direction = Literal["higher", "lower"]
MADE = "people of fresh seeds"
TEST = "IXI, held-out test people"
JUDGE = "judge-covariates-t1"


def metric(
    name: str,
    value: float,
    direction: Direction,
    n: int,
    *,
    data_set: str,
    note: str,
    extractor: str | None = None,
) -> dict[str, Any]:
    """One metric of a card, `value` to four significant digits."""
    short = float(f"{value:.4g}")
    found = {"name": name, "value": short, "direction": direction, "data_set": data_set, "n": n}
    return {**found, "note": note} if extractor is None else {
        **found, "note": note, "extractor": extractor,
    }  # fmt: skip


def keep(path: Path | None, metrics: Iterable[Mapping[str, Any]]) -> None:
    """Put metrics into a file in place of those of the same name and note; others stay.

    Those that could not be measured (NaN) are left out.  None writes nothing.
    """
    if path is None:
        return
    known = json.loads(path.read_text("utf-8")) if path.exists() else []
    found = {(m["name"], m.get("note")): dict(m) for m in known}
    found |= {(m["name"], m.get("note")): dict(m) for m in metrics if math.isfinite(m["value"])}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part.json")
    draft.write_text(json.dumps(list(found.values()), indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)


def of_control(rows: Rows, draw: str) -> list[dict[str, Any]]:
    """Pearson's r of what was asked and what was read, of both cohorts and of each."""
    made = []
    for row in rows:
        cohort, held = row["cohort asked for"], row["held by a source"]
        who = "" if cohort == "both" else f", cohort {cohort}"
        beyond = ", which no source holds" if held == "no" else ""
        reader = "counted" if "own" in row["covariate"] else "read"
        label = str(row["covariate"]).capitalize()
        note = f"covariates of the {draw}; benchmarks/mssg_control.py"
        name = f"{label}{who}{beyond}: asked and {reader}, r"
        made.append(metric(name, row["r"], "higher", row["n"], data_set=MADE, note=note))
    return made


def of_flips(row: Mapping[str, Any], n: int) -> list[dict[str, Any]]:
    """Share of people who are read as either sex where that is asked for."""
    note = f"{JUDGE}; benchmarks/mssg_control.py"
    value = float(row["read as asked both times"])
    return [metric("Sex flips (share)", value, "higher", n, data_set=MADE, note=note)]


def of_counterfactuals(rows: Rows, n: int) -> list[dict[str, Any]]:
    """Every line of the summary that has a target."""
    note = f"{JUDGE}; benchmarks/mssg_counterfactual.py"
    return [
        metric(
            f"Counterfactual: {row['what']}",
            row["value"],
            "lower" if row["target"] == "0" else "higher",
            n,
            data_set=TEST,
            note=note,
        )
        for row in rows
        if row["target"] is not None and row["target"] != "20"
    ]


def of_realism(rows: Rows, near: Rows, smooth: Rows, *, model: str, cohort: str,
               extractor: str) -> list[dict[str, Any]]:  # fmt: skip
    """FID and KID of slabs, nearest neighbours and coherence of one model."""
    note = f"cohort {cohort}, against people no generator has seen; benchmarks/mssg_realism.py"
    made = []
    n = next(row["n"] for row in rows if row["people"] == model)
    for row in rows:
        if row["people"] == model:
            for name in ("FID slab", "KID slab"):
                made.append(
                    metric(name, row[name], "lower", n, data_set=MADE, note=note,
                           extractor=extractor)
                )  # fmt: skip
    for row in near:
        if row["model"] == model:
            name = f"Distance to the nearest training person, of {row['space']}, over that of "
            name += "unseen people"
            made.append(metric(name, row["ratio"], "higher", n, data_set=MADE, note=note))
    for row in smooth:
        if row["model"] == model:
            name = "Change through the plane over that of real scans"
            made.append(metric(name, row["ratio"], "higher", n, data_set=MADE, note=note))
    return made
