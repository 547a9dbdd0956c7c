"""Fit MSSG's label model on the train people and say how it does on the others.

`python -m training.mssg.label_fitting --data ../shared/data --out runs/mssg/labels.json` writes
what a card has as its `label_model`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.scans.atomic import whole_file
from training.data.healthy import load_healthy
from training.data.masks import load_lesion_masks
from training.data.splits import Part

#: What the printed table is for: years.
AGES = (25, 50, 75)


@dataclass(frozen=True, eq=False)
class Table:
    """The recorded covariates of one source.

    Parameters
    ----------
    name : "ixi" or "ms".
    labels : covariate to (N,); age in years, sex 0 F / 1 M, volumes in ml.
    """

    name: str
    labels: dict[str, NDArray[np.float64]]


def load_tables(data: Path, part: Part) -> tuple[Table, Table]:
    """The two sources as recorded, one part of the splits."""
    healthy, patients = load_healthy(data, parts=(part,)), load_lesion_masks(data, parts=(part,))
    return (
        Table("ixi", _labels(healthy.age, healthy.sex, "ventricles", healthy.ventricle_ml)),
        Table("ms", _labels(patients.age, patients.sex, "lesions", patients.volume_ml)),
    )


def _labels(
    age: NDArray[np.float32], sex: NDArray[np.str_], name: str, ml: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    male = (sex == "M").astype(np.float64)
    return {"age": age.astype(np.float64), "sex": male, name: ml.astype(np.float64)}


def people_of(table: Table) -> list[dict[str, Any]]:
    """The rows of a table as a user states them."""
    rows = zip(*table.labels.values(), strict=True)
    people = [dict(zip(table.labels, row, strict=True)) for row in rows]
    return [{**p, "sex": "FM"[int(p["sex"])], "cohort": table.name} for p in people]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How one volume of people not trained on is foreseen from age and sex.

    Parameters
    ----------
    people : how many.
    log_likelihood : mean of log p(volume | age, sex), volume encoded; natural log.
    marginal : the same of a normal of mean 0 and deviation 1, which looks at nothing.
    covered : share of the people within the interval that should hold 0.9.
    supported : share of the people (age, sex, volume, cohort) called inside.
    """

    people: int
    log_likelihood: float
    marginal: float
    covered: float
    supported: float


def held_out(model: LabelModel, table: Table, name: str) -> HeldOut:
    """Judge the conditional of volume `name` on the people of `table`."""
    logs, marginals, covered, supported = [], [], [], []
    for person in people_of(table):
        given = {key: value for key, value in person.items() if key != name}
        coded = model.encode(person)[model.names.index(name)]
        logs.append(model.log_density(person) - model.log_density(given))
        marginals.append(-0.5 * (np.log(2 * np.pi) + coded**2))
        low, high = model.interval(given, name)
        covered.append(low <= person[name] <= high)
        supported.append(model.support(person).is_inside)
    means = [float(np.mean(each)) for each in (logs, marginals, covered, supported)]
    return HeldOut(len(logs), *means)


def describe(model: LabelModel) -> str:
    """A table of what is expected at some ages, with the interval that holds 0.9."""
    volumes = model.names[2:-1]
    lines = ["| age | sex | " + " | ".join(f"{name}, ml" for name in volumes) + " |"]
    lines.append("|---" * (2 + len(volumes)) + "|")
    for age in AGES:
        for sex in "FM":
            given = {"age": age, "sex": sex}
            cells = []
            for name in volumes:
                low, high = model.interval(given, name)
                cells.append(f"{model.expected(given, name):.1f} ({low:.1f} to {high:.1f})")
            lines.append(f"| {age} | {sex} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Fit, print, write; 0."""
    parser = argparse.ArgumentParser(
        prog="python -m training.mssg.label_fitting", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="the shared data or a packed file")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    options = parser.parse_args(argv)
    model = LabelModel.fit(load_tables(options.data, "train"))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(options.out, overwrite=True) as temporary:
        temporary.write_text(json.dumps(model.to_json(), indent=1) + "\n", encoding="utf-8")
    print(describe(model))
    parts: tuple[Part, ...] = ("train", "validation", "test")
    for part in parts:
        for table in load_tables(options.data, part):
            name = next(key for key in table.labels if key not in ("age", "sex"))
            print(part, table.name, name, held_out(model, table, name))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
