"""Who is in which part: train, validation or test, by person, in a committed file.

`splits.json` is what counts.  This module reads it, and can say whether the recipe in it
still leads to it: ``python -m training.data.splits --data ../shared/data --check``.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from napari_medsyn.errors import UnusableFile

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
SPLITS = Path(__file__).with_name("splits.json")

#: What the file was made with; the file repeats it.
RECIPE: dict[str, Any] = {
    "seed": 20261121,
    "shares": {"train": 0.64, "validation": 0.16, "test": 0.20},
    "age_bands_years": [35, 50, 65],
    "lesion_bands_ml": [5, 20],
    "predictors": 30,
    "fixed": {
        "msv-01": "train",
        "msv-03": "train",
        "glioma-00001": "train",
        "msv-12": "validation",
        "ms-07": "test",
    },
}


@cache
def _splits() -> dict[str, dict[str, str]]:
    people = json.loads(SPLITS.read_text(encoding="utf-8"))["people"]
    return dict(people)


def _entry(person: str) -> dict[str, str]:
    known = _splits()
    if person not in known:
        raise KeyError(f"nobody is called {person!r} in {SPLITS.name}; see training/data/README.md")
    return known[person]


def part_of(person: str) -> Part:
    """The one part that `person` ("ixi-012", "ms-07", …) is in.

    Raises
    ------
    KeyError
        `splits.json` has no such person.
    """
    part = _entry(person)["part"]
    return next(p for p in PARTS if p == part)


def role_of(person: str) -> str | None:
    """``"predictor"`` for those that are kept from the judges, otherwise None."""
    return _entry(person).get("role")


def people(prefix: str, *parts: Part) -> tuple[str, ...]:
    """Everybody of a set in the given parts (none given: all), in order of their names.

    Parameters
    ----------
    prefix : "ms", "msv", "glioma", "ixi", "synthseg", or "" for all sets.
    """
    wanted = parts or PARTS
    return tuple(
        person
        for person, entry in sorted(_splits().items())
        if entry["part"] in wanted and (not prefix or person.split("-")[0] == prefix)
    )


def make_splits(data: Path) -> dict[str, Any]:
    """What `splits.json` has to say, from `RECIPE` and the people in the shared folder."""
    entries: dict[str, dict[str, str]] = {}
    seed, shares = RECIPE["seed"], RECIPE["shares"]
    fixed = {person: {"part": part} for person, part in RECIPE["fixed"].items()}

    healthy = _healthy_strata(data)
    parts = spread(healthy, shares, np.random.default_rng([seed, 0]))
    trained = {person: healthy[person] for person, part in parts.items() if part == "train"}
    share = RECIPE["predictors"] / len(trained)
    roles = spread(trained, {"predictor": share, "": 1 - share}, np.random.default_rng([seed, 1]))
    for person, part in parts.items():
        role = {"role": "predictor"} if roles.get(person) else {}
        entries[person] = {"part": part, **role}

    others: list[Mapping[str, Sequence[int]]] = [_label_strata(data), _lesion_strata(data)]
    for number, strata in enumerate(others, start=2):
        free = {person: stratum for person, stratum in strata.items() if person not in fixed}
        parts = spread(free, shares, np.random.default_rng([seed, number]))
        entries |= {person: {"part": part} for person, part in parts.items()}
    entries |= fixed
    return {"recipe": RECIPE, "people": dict(sorted(entries.items()))}


def spread(
    strata: Mapping[str, Sequence[Any]], shares: Mapping[str, float], rng: np.random.Generator
) -> dict[str, str]:
    """Share people out so that each stratum, and the whole, is as near to `shares` as it can be.

    People are put in order of their strata and at random within them; each is then given
    the part that lacks most on what it should have by now.

    Parameters
    ----------
    strata : person to a sortable key, the same for all of a stratum.
    shares : part to its share; they add up to 1.
    """
    names = sorted(strata)
    order = [names[i] for i in rng.permutation(len(names))]
    order.sort(key=lambda person: tuple(strata[person]))
    counts = dict.fromkeys(shares, 0)
    given = {}
    for n, person in enumerate(order, start=1):
        part = max(shares, key=lambda p: shares[p] * n - counts[p])
        counts[part] += 1
        given[person] = part
    return given


def _band(value: float, edges: Sequence[float]) -> int:
    return int(np.searchsorted(edges, value, side="right"))


def _healthy_strata(data: Path) -> dict[str, tuple[str, int]]:
    edges = RECIPE["age_bands_years"]
    return {
        f"ixi-{row['id'][3:6]}": (row["sex"], _band(float(row["age"]), edges))
        for row in _rows(data / "healthy_t1" / "ixi_qc.csv")
    }


def _lesion_strata(data: Path) -> dict[str, tuple[int]]:
    edges = RECIPE["lesion_bands_ml"]
    return {
        f"ms-{row['patient'][-2:]}": (_band(float(row["lesion_ml_mni"]), edges),)
        for row in _rows(data / "lesions" / "lesions.csv")
    }


def _label_strata(data: Path) -> dict[str, tuple[()]]:
    path = data / "label_maps" / "synthseg_labels_mni1mm.npz"
    if not path.is_file():
        raise _missing(path)
    with np.load(path) as z:
        return {f"synthseg-{name[-2:]}": () for name in z["names"].tolist()}


def _rows(path: Path) -> Iterable[dict[str, str]]:
    if not path.is_file():
        raise _missing(path)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _missing(path: Path) -> UnusableFile:
    return UnusableFile(path, "there is no such file; --data must name the shared data folder")


def main(argv: Sequence[str] | None = None) -> int:
    """Compare `splits.json` with its recipe, or write it; 0 if they agree."""
    parser = argparse.ArgumentParser(prog="python -m training.data.splits", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the shared data folder")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="compare; exit code 1 if unequal")
    action.add_argument("--write", action="store_true", help="write the file where there is none")
    options = parser.parse_args(argv)
    text = json.dumps(make_splits(options.data), indent=1) + "\n"
    if options.check:
        agree = SPLITS.is_file() and SPLITS.read_text(encoding="utf-8") == text
        print("splits.json is what its recipe makes" if agree else "splits.json differs from it")
        return 0 if agree else 1
    if SPLITS.exists():
        print(f"{SPLITS} exists and every published figure rests on it: delete it first")
        return 1
    SPLITS.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
