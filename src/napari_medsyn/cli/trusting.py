"""`medsyn models trust | untrust | environment`: packages that bring code of their own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_medsyn.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard

Model = Annotated[str, typer.Argument(metavar="ID|DIR", help="A model, or a folder.")]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]

#: Files that are shown one by one; more are counted.
_SHOWN = 40


def register(group: typer.Typer) -> None:
    """Add the commands of this module to `medsyn models`."""
    group.command("trust")(trust_model)
    group.command("untrust")(untrust_model)
    group.command("environment")(make_environment)


def trust_model(
    model: Model,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on the terminal.")] = False,
    as_json: Json = False,
) -> None:
    """Let the code that a package brings run, as it is now; one changed byte ends that."""
    from napari_medsyn.registry.consent import code_facts, give_consent
    from napari_medsyn.registry.packages import verify

    package = _package(model)
    card = verify(package)
    facts = code_facts(package, card)
    say(f"{card.id} brings code of its own: {facts.folder}")
    for name, sha256 in facts.files[:_SHOWN]:
        say(f"  {sha256}  {name}")
    if len(facts.files) > _SHOWN:
        say(f"  and {len(facts.files) - _SHOWN} more files")
    say("it runs in a process of its own, without network and files of yours; see the manual")
    say(f"SHA-256 over card, code and weights: {facts.sha256}")
    if not yes and sys.stdin.isatty() and not typer.confirm("Trust it?", default=False):
        raise typer.Exit(1)
    give_consent(package, card)
    if as_json:
        show_json({"id": card.id, "folder": str(facts.folder), "sha256": facts.sha256})
    else:
        show(facts.sha256)


def untrust_model(model: Model) -> None:
    """Withdraw that: the code runs no more until it is trusted again."""
    from napari_medsyn.registry.card import read_card
    from napari_medsyn.registry.consent import withdraw_consent

    package = _package(model)
    card = read_card(package)
    if withdraw_consent(package, card):
        say(f"{card.id} is no longer trusted")
    else:
        say(f"{card.id} was not trusted")


def make_environment(
    model: Model,
    python: Annotated[
        Path | None,
        typer.Option(help="Python 3.9 or later that the environment is made with."),
    ] = None,
) -> None:
    """Make an environment with what a package needs, apart from napari's own; give its Python.

    pip works with your own settings (index, proxy).
    """
    from napari_medsyn.models.isolated.environment import create, interpreter, missing_packages

    card = _isolated(_package(model))
    if python is None and not missing_packages(card.requires.packages):
        say(f"{card.id} needs nothing that this Python does not have")
        show(str(interpreter(card)))
        return
    show(str(create(card, python=python, tell=say)))


def _isolated(package: Path) -> ModelCard:
    from napari_medsyn.registry.card import read_card
    from napari_medsyn.registry.consent import code_facts

    card = read_card(package)
    code_facts(package, card)
    return card


def _package(model: str) -> Path:
    """The folder of a model's id, or the folder itself."""
    from napari_medsyn.registry.catalogue import Catalogue

    # An id is a plain name; a folder that is called like a model is asked for by ./name.
    if Path(model).name != model or not model:
        return Path(model)
    catalogue = Catalogue()
    if Path(model).is_dir() and not any(entry.id == model for entry in catalogue.entries()):
        return Path(model)
    return catalogue.get(model).package
