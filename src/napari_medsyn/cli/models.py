"""`medsyn models`: which models there are, and whether they can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from napari_medsyn.cli import contributing, installing, searching, trusting
from napari_medsyn.cli.describing import card_lines, shortened, what_it_does
from napari_medsyn.cli.importing import group as importing_group
from napari_medsyn.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.registry.catalogue import Entry

group = typer.Typer(help="The models that can be used.", no_args_is_help=True)
group.add_typer(importing_group, name="import")
for commands in (searching, installing, trusting, contributing):
    commands.register(group)

#: Characters of the reason why a model is not run, in a list; `info` has all of it.
MOST_OF_A_REASON = 120

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


@group.command("list")
def list_models(as_json: Json = False) -> None:
    """List the models, broken ones with the reason."""
    from napari_medsyn.registry.catalogue import Catalogue

    entries = Catalogue().entries()
    if as_json:
        show_json([entry.as_dict() for entry in entries])
        return
    for entry in entries:
        facts = entry.facts
        if facts is None:
            show(f"{entry.id}  BROKEN: {entry.reason}")
        else:
            kind = " (judge)" if entry.is_judge else ""
            why_not = shortened(entry.why_not, MOST_OF_A_REASON)
            listed = "" if entry.can_run else f" [not run: {why_not}]"
            what = what_it_does(facts)
            show(f"{entry.id}  {facts.version}  {facts.name}{kind}: {what}{listed}")


@group.command("info")
def show_model(
    model_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: Json = False,
    as_bibtex: Annotated[bool, typer.Option("--bibtex", help="Only how to cite it.")] = False,
) -> None:
    """Show what a model's card says: its weights, limits, controls and figures."""
    from napari_medsyn.registry.bibtex import bibtex
    from napari_medsyn.registry.catalogue import Catalogue

    entry = Catalogue().get(model_id)
    card = cast("ModelCard", entry.card)
    if as_bibtex:
        show(bibtex(card).rstrip())
    elif as_json:
        show_json({**entry.as_dict(), "card": card.model_dump(mode="json"), "bibtex": bibtex(card)})
    else:
        for line in card_lines(entry, card):
            show(line)


@group.command("schema")
def show_schema() -> None:
    """Print the JSON Schema of model cards, as in docs/card.schema.json."""
    from napari_medsyn.registry.card import json_schema

    show_json(json_schema())


@group.command("verify")
def verify_models(
    model_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID|FOLDER]…", help="All models by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare every file of a model with its card; exit 2 if one is not as it should be."""
    answers = [_verified(entry) for entry in _chosen(model_ids or [])]
    if as_json:
        show_json(answers)
    for answer in answers:
        if not as_json and answer["ok"]:
            show(f"{answer['id']}: ok")
        elif not answer["ok"]:
            say(str(answer["reason"]), 2)
    if not all(answer["ok"] for answer in answers):
        raise typer.Exit(2)


def _chosen(names: Sequence[str]) -> list[Entry]:
    """Entries for ids and folders; all entries for none."""
    from napari_medsyn.registry.catalogue import Catalogue, Entry

    entries = Catalogue().entries()
    if not names:
        return list(entries)
    chosen = []
    for name in names:
        known = [entry for entry in entries if entry.id == name]
        if not known and not Path(name).is_dir():
            Catalogue().get(name)
        chosen += known or [Entry(name, Path(name), "user")]
    return chosen


def _verified(entry: Entry) -> dict[str, Any]:
    from napari_medsyn.errors import UnusableModel
    from napari_medsyn.registry.packages import verify

    answer = {"id": entry.id, "folder": str(entry.package)}
    if entry.reason:
        return {**answer, "ok": False, "reason": entry.reason}
    try:
        card = verify(entry.package)
    except UnusableModel as error:
        return {**answer, "ok": False, "reason": str(error)}
    return {**answer, "id": card.id, "ok": True, "reason": ""}
