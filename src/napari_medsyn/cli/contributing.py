"""`medsyn models test | new | seal | contribute`: from an idea to a package others can use."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_medsyn.cli.printing import say, show, show_json
from napari_medsyn.errors import UnusableModel

if TYPE_CHECKING:
    from napari_medsyn.evaluation.checks import Check, Report

#: How the word for each verdict is drawn, if there are colours.
_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


class Template(StrEnum):
    """The families there is a template for."""

    dcgan = "dcgan"
    mmhvae = "mmhvae"
    python = "python"


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the package.")]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Budget = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0.0, help="When they have passed, nothing more is tried."),
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Let the code that the package brings run, now and later."),
]


def register(group: typer.Typer) -> None:
    """Add the commands of this module to `medsyn models`."""
    group.command("test")(try_model)
    group.command("new")(new_model)
    group.command("seal")(seal_model)
    group.command("contribute")(contribute_model)


def try_model(
    model: Annotated[str, typer.Argument(metavar="ID|DIR", help="A model, or a folder.")],
    as_json: Json = False,
    record: Annotated[
        bool, typer.Option("--record", help="First make what it gives now its golden output.")
    ] = False,
    trust: Trust = False,
    budget: Budget = 300.0,
) -> None:
    """Try a model out: files, golden output, ranges, controls; exit 1 if something is wrong."""
    package = _package(model)
    if record and package != Path(model):
        raise UnusableModel(
            f"{model}: --record writes into a package, so name its folder: {package}"
        )
    _ask_consent(package, trust)
    if record:
        _record(package)
    report = _examined(package, budget)
    if as_json:
        show_json({**report.as_dict(), "folder": str(package)})
    else:
        _show_table(report)
        show(str(package))
    if not report.ok:
        raise typer.Exit(1)


def new_model(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that is made.")],
    family: Annotated[
        Template, typer.Option(help="python: the package brings code of its own.")
    ] = Template.dcgan,
    model_id: Annotated[
        str | None, typer.Option("--id", help="Id of the model; by default from the folder.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
) -> None:
    """Begin a package: a template that works, with fields to fill in."""
    from napari_medsyn.exploration.beginning import begin
    from napari_medsyn.registry.templating import STEPS

    slug = re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).strip("-._")
    chosen = model_id or slug or "my-model"
    begin(folder, family.value, model_id=chosen, name=name or _name_of(chosen))
    say(f"the model's id is {chosen}; what to do next is in {folder / STEPS}")
    show(str(folder))


def seal_model(folder: Folder) -> None:
    """Write the size and SHA-256 of a package's files, as they are now, into its card."""
    from napari_medsyn.registry.sealing import seal

    for note in seal(folder):
        say(note)
    show(str(folder))


def contribute_model(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the submission.")],
    trust: Trust = False,
    budget: Budget = 300.0,
) -> None:
    """Test and pack a package, with all that a maintainer needs; nothing is uploaded."""
    from napari_medsyn.registry.building import refuse_occupied
    from napari_medsyn.registry.submission import TEXT_NAME, check_ready, write_submission

    check_ready(folder)
    refuse_occupied(out)
    _ask_consent(folder, trust)
    report = _examined(folder, budget)
    if not report.ok:
        _show_table(report)
        say("nothing was written: the package does not pass its test")
        raise typer.Exit(1)
    archive = write_submission(out, folder, report.as_dict())
    say(f"{report.summary}; nothing was uploaded, send {archive.name} and {TEXT_NAME}")
    show(str(out))


def _name_of(model_id: str) -> str:
    """An id as a name: my-breast_gan becomes My breast gan."""
    words = re.sub(r"[-_.]+", " ", model_id).strip()
    return words[:1].upper() + words[1:]


def _package(model: str) -> Path:
    """A folder with a card, or else the folder of a model's id."""
    from napari_medsyn.registry.card import CARD_NAME
    from napari_medsyn.registry.catalogue import Catalogue

    if (Path(model) / CARD_NAME).is_file():
        return Path(model)
    return Catalogue().get(model).package


def _ask_consent(package: Path, trust: bool) -> None:
    """Refuse to run code that is not trusted, or trust it; either way say which code it is."""
    from napari_medsyn.registry.consent import code_facts, give_consent, has_consent
    from napari_medsyn.registry.packages import verify

    card = verify(package)
    if card.execution != "isolated" or has_consent(package, card):
        return
    facts = give_consent(package, card) if trust else code_facts(package, card)
    code = f"{card.id} brings code of its own ({facts.folder}, SHA-256 {facts.sha256})"
    if not trust:
        raise UnusableModel(f"{code}; look at it, then say the same with --trust")
    say(f"{code}; it is trusted as it is now")


def _record(package: Path) -> None:
    """Record the golden output.  Consent goes with the package: only we have changed it."""
    from napari_medsyn.exploration.examining import record
    from napari_medsyn.registry.consent import give_consent, has_consent
    from napari_medsyn.registry.packages import verify

    card = verify(package)
    was_trusted = card.execution == "isolated" and has_consent(package, card)
    recorded = record(package)
    if was_trusted:
        give_consent(package, recorded)


def _examined(package: Path, budget: float) -> Report:
    """The report on a package; on a terminal it is said what is being tried."""
    from napari_medsyn.exploration.examining import examine

    with _telling() as tell:
        return examine(package, budget_s=budget, tell=tell)


@contextmanager
def _telling() -> Iterator[Callable[[Check], None]]:
    if not sys.stderr.isatty():
        yield lambda _check: None
        return
    from rich.console import Console

    with Console(stderr=True).status("Trying the model out …") as status:
        yield lambda check: status.update(f"{check.name}: {check.verdict} …")


def _show_table(report: Report) -> None:
    """The checks as a table that fits the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("Check", "Verdict", "", title=f"{report.model} {report.version}")
    for check in report.checks:
        verdict = Text(check.verdict, style=_STYLES[check.verdict])
        table.add_row(Text(check.name), verdict, Text(check.sentence))
    console = Console()
    console.print(table)
    console.print(report.summary, highlight=False)
