"""`medsyn models search | rank`: finding models by what their cards say."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from napari_medsyn.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from napari_medsyn.registry.entries import Entry
    from napari_medsyn.registry.ranking import Ranked


class Operator(StrEnum):
    """How words are joined."""

    and_ = "and"
    or_ = "or"
    xor = "xor"


#: Said when a search finds nothing.
NOTHING = "no model has these words; see medsyn models list"

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Joined = Annotated[
    Operator, typer.Option(help="and: all words; or: at least one; xor: exactly one.")
]


def register(group: typer.Typer) -> None:
    """Add the commands of this module to `medsyn models`."""
    group.command("search")(search_models)
    group.command("rank")(rank_models)


def search_models(
    words: Annotated[
        list[str],
        typer.Argument(metavar="WORD…", help="Anything a card says; FIELD:WORD, as in tag:brain."),
    ],
    operator: Joined = Operator.and_,
    metric: Annotated[
        str | None, typer.Option("--rank", metavar="METRIC", help="Order by it, the best first.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find models by words, in capitals or not, anywhere on their cards."""
    if metric is not None:
        _answer_ranked(words, operator, metric, as_json)
        return
    found = _found(_entries(), words, operator)
    if as_json:
        show_json([entry.as_dict() for entry in found])
        return
    for entry in found:
        show(_line(entry))
    if not found:
        say(NOTHING)


def rank_models(
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="FID, PSNR, Dice, …")],
    words: Annotated[
        list[str] | None,
        typer.Option("--of", metavar="WORD", help="Only models with this word; may be repeated."),
    ] = None,
    operator: Joined = Operator.and_,
    as_json: Json = False,
) -> None:
    """Order models by a metric, the best first; those without it come last."""
    _answer_ranked(words or [], operator, metric, as_json)


def _entries() -> tuple[Entry, ...]:
    from napari_medsyn.registry.catalogue import Catalogue

    return Catalogue().entries()


def _found(entries: Sequence[Entry], words: Sequence[str], operator: Operator) -> list[Entry]:
    from napari_medsyn.registry.searching import refuse_unknown_fields, search

    refuse_unknown_fields(words)
    return search(entries, words, operator.value)


def _line(entry: Entry) -> str:
    facts = entry.facts
    if facts is None:
        return f"{entry.id}  BROKEN: {entry.reason}"
    return f"{entry.id}  {facts.version}  {facts.name}: {facts.task}, {facts.dim}"


def _answer_ranked(words: Sequence[str], operator: Operator, metric: str, as_json: bool) -> None:
    from napari_medsyn.registry.ranking import rank

    entries = _entries()
    ranked = rank(_found(entries, words, operator), metric, among=entries)
    if as_json:
        show_json([place.as_dict() for place in ranked])
        return
    if not ranked:
        say(NOTHING)
        return
    show(f"{ranked[0].metric or metric}: {ranked[0].direction} is better")
    for number, place in enumerate(ranked, start=1):
        show(_ranked_line(number, place))


def _ranked_line(number: int, place: Ranked) -> str:
    notes = f"  ({'; '.join(place.notes)})" if place.notes else ""
    if place.score is None:
        return f"   -  {'without':>9}  {place.entry.id}{notes}"
    on = "" if place.n is None else f", n = {place.n}"
    return f"{number:>4}  {place.score:>9.4g}  {place.entry.id}  on {place.data_set}{on}{notes}"
