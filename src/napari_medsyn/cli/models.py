"""`medsyn models`: which models there are, and whether they can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from napari_medsyn.cli import contributing, installing, searching, trusting
from napari_medsyn.cli.importing import group as importing_group
from napari_medsyn.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from napari_medsyn.registry.card import Metric, ModelCard
    from napari_medsyn.registry.catalogue import Entry
    from napari_medsyn.registry.entries import Facts

group = typer.Typer(help="The models that can be used.", no_args_is_help=True)
group.add_typer(importing_group, name="import")
for commands in (searching, installing, trusting, contributing):
    commands.register(group)

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
            listed = "" if entry.can_run else f" [not run: {entry.why_not}]"
            what = _what_it_does(facts)
            show(f"{entry.id}  {facts.version}  {facts.name}{kind}: {what}{listed}")


@group.command("info")
def show_model(
    model_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: Json = False,
    as_bibtex: Annotated[bool, typer.Option("--bibtex", help="Only how to cite it.")] = False,
) -> None:
    """Show all that a model's card says."""
    from napari_medsyn.registry.bibtex import bibtex
    from napari_medsyn.registry.catalogue import Catalogue

    entry = Catalogue().get(model_id)
    card = cast("ModelCard", entry.card)
    if as_bibtex:
        show(bibtex(card).rstrip())
    elif as_json:
        show_json({**entry.as_dict(), "card": card.model_dump(mode="json"), "bibtex": bibtex(card)})
    else:
        _show_card(entry, card)


def _show_card(entry: Entry, card: ModelCard) -> None:
    show(f"{card.name} ({card.id} {card.version}), {card.licence}\n{card.summary}".rstrip())
    show(f"{card.kind}, {card.purpose}: {_what_it_does(cast('Facts', entry.facts))}")
    for name, values in (("anatomy", card.anatomy), ("tags", card.tags)):
        if values:
            show(f"{name}: {', '.join(values)}")
    for control in card.controls:
        show(f"control: {control.name} ({control.label})")
    show(f"intended use: {card.intended_use}")
    for limitation in card.limitations:
        show(f"limitation: {limitation}")
    for metric in card.metrics:
        show(_metric_line(metric))
    for data in card.training_data:
        show(f"trained on {data.name}{_n(data.n)}, {data.licence}")
    for needs in _needs(card):
        show(f"needs: {needs}")
    for place in (*(f"https://doi.org/{doi}" for doi in card.doi), *card.links):
        show(f"see {place}")
    if not entry.can_run:
        show(f"not run: {entry.why_not}")
    else:
        show(f"weights: {card.weights.bytes} bytes, SHA-256 {card.weights.sha256}")
    show(f"folder: {entry.package}")


def _metric_line(metric: Metric) -> str:
    through = f" through {metric.extractor}" if metric.extractor else ""
    note = f" ({metric.note})" if metric.note else ""
    return f"{metric.name}: {metric.value:g} on {metric.data_set}{through}{_n(metric.n)}{note}"


def _n(count: int | None) -> str:
    return "" if count is None else f", n = {count}"


def _needs(card: ModelCard) -> list[str]:
    """What running it takes, in words."""
    needs = card.requires
    said = [f'pip install "napari-medsyn[{needs.extra}]"'] if needs.extra else []
    if card.execution == "isolated":
        said.append("your consent: it brings code of its own, see medsyn models trust")
    if needs.packages:
        said.append(f"an environment of its own with {', '.join(needs.packages)}")
    if needs.memory_gb is not None:
        said.append(f"{needs.memory_gb:g} GB of memory")
    if needs.gpu:
        said.append("a GPU")
    return [*said, *([needs.note] if needs.note and card.execution != "none" else [])]


def _what_it_does(facts: Facts) -> str:
    parts = [f"reads {', '.join(facts.inputs) or 'no scan'}"]
    if facts.readings:
        parts.append(f"measures {', '.join(facts.readings)}")
    if facts.outputs:
        parts.append(f"gives {', '.join(facts.outputs)}")
    return "; ".join(parts)


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
