"""Which rows are shown, and in which order: pure, so that a thread can do it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from napari_medsyn.errors import UnusableModel
from napari_medsyn.plugin.models.rows import STATE_NAMES, Row
from napari_medsyn.registry.catalogue import Entry
from napari_medsyn.registry.ranking import Direction, Ranked, metric_names, rank
from napari_medsyn.registry.searching import Operator, search

Column = Literal[
    "state", "name", "task", "modality", "dim", "metric", "size", "organ", "covariates",
    "licence", "origin",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """What the user looks for.

    Parameters
    ----------
    words : typed into the search field, any case, parts of words will do.
    operator : how the words are joined.
    task, modality, dim : only models with this; "" for any.
    fits : only models that fit the loaded study.
    can_run : only models that could be run, with the right study and consent.
    metric : shown in the table's column of figures; "" for none.
    sort : column to sort by.
    descending : whether the largest comes first; of the metric: the worst.
    """

    words: tuple[str, ...] = ()
    operator: Operator = "and"
    task: str = ""
    modality: str = ""
    dim: str = ""
    fits: bool = False
    can_run: bool = False
    metric: str = ""
    sort: Column = "state"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A model's value of the chosen metric.

    Parameters
    ----------
    value, direction : the figure, and which way is better.
    is_comparable : whether it was measured as most of the others were.
    notes : sentences on how far it is to be trusted.
    """

    value: float
    direction: Direction
    is_comparable: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arranged:
    """The answer to a query.

    Parameters
    ----------
    query : that it answers.
    rows : in order.
    figures : folder of a model to its value of the chosen metric, where it has one.
    """

    query: Query = field(default_factory=Query)
    rows: tuple[Row, ...] = ()
    figures: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facets:
    """What can be chosen in the filters: the values that occur, sorted."""

    tasks: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    dims: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


def facets_of(rows: Sequence[Row]) -> Facets:
    """The values that occur in `rows`."""
    return Facets(
        tasks=_distinct(row.task for row in rows),
        modalities=_distinct(name for row in rows for name in row.modalities),
        dims=_distinct(row.dim for row in rows),
        metrics=tuple(metric_names(_passing(_first_with_each_metric(rows)))),
    )


def arrange(rows: Sequence[Row], query: Query) -> Arranged:
    """The rows that answer `query`, sorted; rows without a value of the column come last."""
    kept = _searched([row for row in rows if _passes(row, query)], query)
    ranked = _ranked(kept, query.metric)
    figures = {
        str(one.entry.package): Figure(one.score, one.direction, one.comparable, one.notes)
        for one in ranked
        if one.score is not None
    }
    # `ranked` begins with the models that have the metric, the best first.
    places = {key: place for place, key in enumerate(figures)}
    value = _VALUES.get(query.sort) or (lambda row: places.get(row.key))
    return Arranged(query, tuple(_sorted(kept, value, query.descending)), figures)


def _ranked(rows: Sequence[Row], metric: str) -> list[Ranked]:
    """The rows' models by the metric; none if not one of them has it."""
    if not metric:
        return []
    try:
        return rank(_passing([row for row in rows if row.metrics]), metric)
    except UnusableModel:
        return []


def _passing(rows: Iterable[Row]) -> list[Entry]:
    """Copies of the rows' entries: what an entry decodes of its card it keeps, a copy not long."""
    return [replace(row.entry) for row in rows]


def _passes(row: Row, query: Query) -> bool:
    return (
        query.task in ("", row.task)
        and (not query.modality or query.modality in row.modalities)
        and query.dim in ("", row.dim)
        and (not query.fits or row.badge.state == "fits")
        and (not query.can_run or row.entry.can_run)
    )


def _searched(rows: list[Row], query: Query) -> list[Row]:
    if not query.words:
        return rows
    found = search([row.entry for row in rows], query.words, query.operator)
    packages = {entry.package for entry in found}
    return [row for row in rows if row.entry.package in packages]


#: What a column is sorted by; "" and None stand for "not known".
_VALUES: Final[dict[str, Callable[[Row], Any]]] = {
    "state": lambda row: list(STATE_NAMES).index(row.badge.state),
    "name": lambda row: row.name.casefold(),
    "task": lambda row: row.task,
    "modality": lambda row: ", ".join(row.modalities).casefold(),
    "dim": lambda row: row.dim,
    "size": lambda row: row.size,
    "organ": lambda row: row.organ.casefold(),
    "covariates": lambda row: row.covariates.casefold(),
    "licence": lambda row: row.licence.casefold(),
    "origin": lambda row: row.origin,
}


def _sorted(rows: list[Row], value: Callable[[Row], Any], descending: bool) -> list[Row]:
    """Rows by `value`, equal ones by name; those without a value last in either direction."""
    by_name = sorted(rows, key=_VALUES["name"])
    known = [row for row in by_name if value(row) not in ("", None)]
    unknown = [row for row in by_name if value(row) in ("", None)]
    return [*sorted(known, key=value, reverse=descending), *unknown]


def _first_with_each_metric(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows that together have every metric."""
    known: set[str] = set()
    for row in rows:
        if not known.issuperset(row.metrics):
            known.update(row.metrics)
            yield row


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value}, key=str.casefold))
