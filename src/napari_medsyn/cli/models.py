"""`medsyn models`: which models there are, and whether they can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from napari_medsyn.cli.importing import group as importing_group
from napari_medsyn.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.registry.catalogue import Entry

group = typer.Typer(help="The models that can be used.", no_args_is_help=True)
group.add_typer(importing_group, name="import")

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
        card = entry.card
        if card is None:
            show(f"{entry.id}  BROKEN: {entry.reason}")
        else:
            kind = " (judge)" if card.is_judge else ""
            show(f"{entry.id}  {card.version}  {card.name}{kind}: {_what_it_does(card)}")


@group.command("info")
def show_model(
    model_id: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False
) -> None:
    """Show all that a model's card says."""
    from napari_medsyn.registry.catalogue import Catalogue

    entry = Catalogue().get(model_id)
    card = cast("ModelCard", entry.card)
    if as_json:
        show_json({**entry.as_dict(), "card": card.model_dump(mode="json")})
        return
    show(f"{card.name} ({card.id} {card.version}), {card.licence}\n{card.summary}".rstrip())
    show(f"{card.kind}: {_what_it_does(card)}")
    show(f"intended use: {card.intended_use}")
    for limitation in card.limitations:
        show(f"limitation: {limitation}")
    for metric in card.metrics:
        note = f" ({metric.note})" if metric.note else ""
        show(f"{metric.name}: {metric.value:g} on {metric.data_set}, n = {metric.n}{note}")
    for data in card.training_data:
        show(f"trained on {data.name}, n = {data.n}, {data.licence}")
    show(f"weights: {card.weights.bytes} bytes, SHA-256 {card.weights.sha256}")
    show(f"folder: {entry.package}")


def _what_it_does(card: ModelCard) -> str:
    parts = [f"reads {', '.join(card.inputs)}"]
    if card.readings:
        parts.append(f"measures {', '.join(reading.name for reading in card.readings)}")
    if card.outputs:
        parts.append(f"gives {', '.join(card.outputs)}")
    return "; ".join(parts)


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
