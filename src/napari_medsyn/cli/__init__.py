"""`medsyn`: the session on the command line.

Exit status: 0 on success; 2 if what was given cannot be used, with one line on standard
error that names the thing and the reason; 1 if the computation failed; 130 on Ctrl+C.
Nothing is left behind unless all went well, but for samples that `generate` had finished.

Imports are inside the commands: `medsyn --help` loads neither numpy nor torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer

from napari_medsyn.cli.counterfactuals import counterfactual
from napari_medsyn.cli.generating import generate
from napari_medsyn.cli.imputing import impute
from napari_medsyn.cli.judging import judge
from napari_medsyn.cli.models import group as models_group
from napari_medsyn.cli.printing import say, show
from napari_medsyn.errors import Cancelled, EngineError, MedsynError, UnusableFile

app = typer.Typer(
    name="medsyn",
    help="Impute missing MR modalities, and look at generative models. Not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(models_group, name="models")
app.command()(impute)
app.command()(generate)
app.command()(counterfactual)
app.command()(judge)

#: What a shell gives for a program that Ctrl+C has ended.
INTERRUPTED = 130

#: How the floors below say that a file is in the way, and the commands with an option for it.
_ALLOW = " or allow it to be replaced"
_OVERWRITING = ("impute", "generate", "counterfactual", "judge")

#: What typer raises for wrong arguments.  Typer brings its own copy of click since 0.20 or
#: so and used the real one before; the base of its public exception is right for both.
_UsageError = cast("type[Exception]", typer.BadParameter.__base__)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `medsyn` and exit; the entry point of the package."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run `medsyn` with `arguments` (those of the process by default); give the exit status."""
    try:
        status = int(app(args=arguments, prog_name="medsyn", standalone_mode=False) or 0)
    except _UsageError as error:
        message = str(error.format_message()).rstrip(".")  # type: ignore[attr-defined]
        return say(f"{message}; try medsyn --help", 2)
    except Cancelled as error:
        return say(str(error), INTERRUPTED)
    except EngineError as error:
        return say(str(error), 1)
    except MedsynError as error:
        return say(_with_option(str(error), arguments), 2)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:  # newer versions of typer make this of Ctrl+C themselves
        say("interrupted; nothing was written", status)
    return status


def _with_option(sentence: str, arguments: Sequence[str] | None) -> str:
    """A sentence in which allowing a file to be replaced is the command's option, if it has one."""
    given = sys.argv[1:] if arguments is None else arguments
    option = " or say --overwrite" if given and given[0] in _OVERWRITING else ""
    return sentence.replace(_ALLOW, option)


def _version(wanted: bool) -> None:
    if wanted:
        from napari_medsyn import __version__

        show(f"medsyn {__version__}")
        raise typer.Exit


@app.callback()
def _medsyn(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


@app.command("app")
def open_app(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES]…", help="Scans to open.")
    ] = None,
) -> None:
    """Open napari with the MedSyn dock."""
    # Before a window comes up: told in its corner, it may be overlooked.
    for file in files or []:
        if not file.exists():
            raise UnusableFile(file, "does not exist")
    from napari_medsyn.plugin.app import run_app

    raise typer.Exit(run_app(files or []) or 0)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path(
        "demo-output"
    ),
) -> None:
    """Impute FLAIR of the sample patient: in a window, or without a display into files."""
    from napari_medsyn.plugin.demo import run_demo

    raise typer.Exit(run_demo(out) or 0)
