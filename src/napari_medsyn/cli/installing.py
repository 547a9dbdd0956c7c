"""`medsyn models install | remove | pack | settings`: packages in and out of the user's folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_medsyn.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from napari_medsyn.registry.entries import Entry

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def register(group: typer.Typer) -> None:
    """Add the commands of this module to `medsyn models`."""
    group.command("install")(install_model)
    group.command("remove")(remove_model)
    group.command("pack")(pack_model)
    group.command("settings")(show_settings)


def install_model(
    sources: Annotated[
        list[Path], typer.Argument(metavar="FILE.zip|DIR|card.json…", help="What to install.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another version of the same model.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check packages and add them to yours; files that they came without are fetched."""
    from napari_medsyn.errors import MedsynError
    from napari_medsyn.registry.installing import install

    installed = []
    for source in sources:
        try:
            with _telling() as progress:
                entry = install(source, replace=replace, progress=progress)
        except MedsynError as error:
            say(str(error), 2)
            continue
        installed.append(entry)
        _say_what_is_left(entry)
        if not as_json:
            version = entry.facts.version if entry.facts is not None else ""
            show(f"{entry.id} {version} is installed: {entry.package}")
    if as_json:
        show_json([entry.as_dict() for entry in installed])
    if len(installed) < len(sources):
        raise typer.Exit(2)


def _say_what_is_left(entry: Entry) -> None:
    """What stands between an installed package and its use, if anything."""
    from napari_medsyn.registry.consent import has_consent

    card = entry.card
    if card is not None and card.execution == "isolated" and not has_consent(entry.package, card):
        say(
            f"{entry.id} brings code of its own, which has not been run; look at it, then "
            f"medsyn models trust {entry.id}"
        )
    elif entry.lacks:
        say(f"{entry.id} cannot run yet: it {entry.lacks}")
    elif entry.why_not:
        say(f"{entry.id} is listed only: {entry.why_not}")


def remove_model(model_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Remove one of your packages; those that ship with napari-medsyn stay."""
    from napari_medsyn.registry.installing import remove

    show(f"{model_id} is removed: {remove(model_id)}")


def pack_model(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the package.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.zip", help="New file.")],
) -> None:
    """Check a package and pack it into one file, always the same for the same package."""
    from napari_medsyn.errors import UnusableFile
    from napari_medsyn.registry.archives import pack, unlisted_files
    from napari_medsyn.registry.packages import sha256_of
    from napari_medsyn.registry.templating import STEPS

    if out.exists():
        raise UnusableFile(out, "exists already; choose another --out")
    card = pack(folder, out)
    for name in unlisted_files(folder, card):
        if name == STEPS:
            say(f"{name} is for you and stays out of the archive, as it should")
        else:
            say(f"{name} is not packed: the card does not list it; see medsyn models seal")
    show(f"{out}  SHA-256 {sha256_of(out)}")


def show_settings(
    mirror: Annotated[
        str | None,
        typer.Option(metavar="DIR|URL", help="Where files are looked for first; '' for nowhere."),
    ] = None,
    offline: Annotated[
        bool | None, typer.Option("--offline/--online", help="Whether only the mirror is asked.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show, or change, where files of packages are fetched from."""
    from napari_medsyn.registry.settings import load_settings, save_settings, settings_file

    changes = {"mirror": mirror, "offline": offline}
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes:
        save_settings(**changes)
    settings = load_settings()
    if as_json:
        show_json({**settings.model_dump(), "file": str(settings_file())})
        return
    show(f"mirror: {settings.mirror or 'none'}")
    show(f"downloads: {'off, the mirror only' if settings.offline else 'on'}")
    show(f"file: {settings_file()}")


@contextmanager
def _telling() -> Iterator[Callable[[str, int, int], None] | None]:
    """A progress bar on a terminal, nothing in a script."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=Console(stderr=True)) as bar:
        tasks = {}

        def tell(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done)

        yield tell
