"""Ranking models by a metric, each metric in its own direction.

Which way is better follows from what the metric is; a card that says otherwise is told, not
believed.  Models without the metric come last.  Figures from another data set or feature
network are shown, but are not directly comparable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.entries import Entry
from napari_medsyn.registry.suggesting import did_you_mean, some_of

Direction = Literal["higher", "lower"]

#: What is better, by the words of a metric's name; the first line that matches decides.
#: rFID = FID(real, real) / FID(real, synthetic) is 1 for synthetic images that are as close
#: to real ones as those are to each other (Osuala et al. 2023, medigan, section 3.4).
_DIRECTIONS: Final[tuple[tuple[Direction, str], ...]] = (
    ("higher", r"rfid|fid(?: \w+)? ratio"),
    ("lower", r"fid|s?fid|cfid|fvd|frd|kid|mmd|lpips|dists|niqe|brisque"),
    ("lower", r"n?r?mse|mae|nsme|mean (?:absolute|squared) error|mean error|error"),
    ("lower", r"hd\d*|hausdorff(?: distance)?|assd|surface distance|brier(?: score)?"),
    ("lower", r"nll|bits per dimension|false \w+|ece|ged"),
    ("higher", r"is|inception score|(?:ms )?ssim|psnr|snr|vif|fsim|ncc|precision|recall"),
    ("higher", r"dice|dsc|iou|jaccard|auc|auroc|roc auc|map|f1|accuracy|acc"),
    ("higher", r"sensitivity|specificity|elbo|coverage|r|r2|spearman|pearson|correlation"),
)


@dataclass(frozen=True, slots=True)
class Ranked:
    """One model's place.

    Parameters
    ----------
    entry : of the catalogue.
    metric : the metric's name as the card has it; None if the card lacks it.
    score : its value; None if the card lacks it.
    direction : which way is better.
    data_set, extractor, n : what it was measured on, through which feature network.
    comparable : whether data set and feature network are those that most of the ranked
        models were measured with.
    notes : sentences on how far the figure is to be trusted.
    """

    entry: Entry
    metric: str | None
    score: float | None
    direction: Direction
    data_set: str | None = None
    extractor: str | None = None
    n: int | None = None
    comparable: bool = False
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The entry in short, with its score, as JSON values."""
        return {
            **self.entry.as_dict(),
            "metric": self.metric,
            "score": self.score,
            "direction": self.direction,
            "data_set": self.data_set,
            "extractor": self.extractor,
            "n": self.n,
            "comparable": self.comparable,
            "notes": list(self.notes),
        }


def rank(
    entries: Iterable[Entry], metric: str, *, among: Iterable[Entry] | None = None
) -> list[Ranked]:
    """Order models by a metric, the best first, those without it last.

    Where a card has several figures of the metric, the one on the data set and through the
    network that most of the models were measured with is taken, else one through that
    network, and the first of these.

    Parameters
    ----------
    entries : of the catalogue; broken ones are left out.
    metric : its name, upper or lower case; units in parentheses may be left out.
    among : entries one of which must have the metric; by default those that are ranked.

    Raises
    ------
    UnusableModel : no card has the metric; says which there are.
    """
    usable = [entry for entry in entries if entry.facts is not None]
    wanted = _key(metric)
    figures = [(entry, _figures(entry, wanted)) for entry in usable]
    known = [found for _, found in figures if found]
    if not known:
        known = _figures_among(usable if among is None else among, metric)
    direction = direction_of(metric) or _majority([figure for found in known for figure in found])
    usual = _usual_conditions(known)
    placed = [_place(entry, found, direction, usual) for entry, found in figures if found]
    placed.sort(key=lambda r: ((r.score or 0.0) * (1 if direction == "lower" else -1), r.entry.id))
    without = [
        Ranked(entry, None, None, direction, notes=(f"its card gives no {metric}",))
        for entry, found in figures
        if not found
    ]
    return placed + sorted(without, key=lambda ranked: ranked.entry.id)


def metric_names(entries: Iterable[Entry]) -> list[str]:
    """Every metric that the entries' cards give, each once, in alphabetical order."""
    names: dict[str, str] = {}
    for entry in entries:
        for figure in entry.facts.metrics if entry.facts is not None else ():
            names.setdefault(_key(figure["name"]), figure["name"])
    return sorted(names.values(), key=str.casefold)


def direction_of(metric: str) -> Direction | None:
    """Which way a metric is better, by its name; None if the name is none that we know."""
    name = _key(metric)
    return next((direction for direction, words in _DIRECTIONS if _says(name, words)), None)


def _says(name: str, words: str) -> bool:
    return re.search(rf"(?<![a-z0-9])(?:{words})(?![a-z0-9])", name) is not None


@lru_cache(maxsize=10_000)
def _key(metric: str) -> str:
    """A metric's name without case, units and kind of separator: "PSNR (dB)" is "psnr"."""
    bare = re.sub(r"\([^)]*\)", " ", metric.casefold())
    return " ".join(re.split(r"[\s_-]+", bare.strip())).replace("fid ratio", "rfid")


def _figures(entry: Entry, wanted: str) -> list[dict[str, Any]]:
    metrics = entry.facts.metrics if entry.facts is not None else []
    return [figure for figure in metrics if _key(figure["name"]) == wanted]


def _figures_among(entries: Iterable[Entry], metric: str) -> list[list[dict[str, Any]]]:
    """The metric's figures of all entries that have it; refuses one that none has."""
    entries = list(entries)
    found = [figures for entry in entries if (figures := _figures(entry, _key(metric)))]
    if not found:
        known = metric_names(entries)
        without_units = [re.sub(r"\s*\([^)]*\)", "", name) for name in known]
        raise UnusableModel(
            f"there is no metric {metric!r}{did_you_mean(metric, without_units)}; known metrics: "
            f"{some_of(known, separator='; ')}"
        )
    return found


def _conditions(figure: dict[str, Any]) -> tuple[str, str]:
    """What two figures must have in common to be compared."""
    return figure["data_set"].casefold(), (figure["extractor"] or "").casefold()


def _usual_conditions(found: Sequence[list[dict[str, Any]]]) -> tuple[str, str]:
    """Those that most models share; of equals, the first in the alphabet."""
    counts = Counter(c for figures in found for c in {_conditions(figure) for figure in figures})
    return min(counts, key=lambda conditions: (-counts[conditions], conditions))


def _majority(figures: Sequence[dict[str, Any]]) -> Direction:
    """What most cards say of a metric that we do not know; "higher" if they are divided."""
    lower = sum(figure["direction"] == "lower" for figure in figures)
    return "lower" if 2 * lower > len(figures) else "higher"


def _what_differs(figure: dict[str, Any], usual: tuple[str, str]) -> str:
    data_set, extractor = _conditions(figure)
    said = ["measured"]
    if data_set != usual[0]:
        said.append(f"on {figure['data_set']}")
    if extractor != usual[1]:
        said.append(f"through {figure['extractor'] or 'an unnamed network'}")
    return " ".join(said)


def _place(
    entry: Entry, figures: Sequence[dict[str, Any]], direction: Direction, usual: tuple[str, str]
) -> Ranked:
    same = [figure for figure in figures if _conditions(figure) == usual]
    # A FID through another network is another scale altogether.
    alike = [figure for figure in figures if _conditions(figure)[1] == usual[1]]
    candidates = same or alike or figures
    figure = candidates[0]
    notes = []
    if not same:
        notes.append(f"not directly comparable: {_what_differs(figure, usual)}")
    if figure["direction"] != direction:
        notes.append(
            f"its card says that {figure['direction']} is better, but {direction} is; the card "
            "should be mended"
        )
    others = len(candidates) - 1
    if others:
        notes.append(
            f"the first of {others + 1} figures on its card: {figure['note'] or 'no note'}"
        )
    return Ranked(
        entry,
        figure["name"],
        figure["value"],
        direction,
        figure["data_set"],
        figure["extractor"],
        figure["n"],
        bool(same),
        tuple(notes),
    )
