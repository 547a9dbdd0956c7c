"""`medsyn`: the session on the command line.

Exit status: 0 on success; 2 if what was given cannot be used, with one line on standard
error that names the thing and the reason; 1 if the computation failed; 130 on Ctrl+C.
Nothing is left behind unless all went well.

Imports are inside the commands: `medsyn --help` loads neither numpy nor torch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer

from napari_medsyn.errors import EngineError, MedsynError, UnusableStudy

if TYPE_CHECKING:
    from napari_medsyn.exploration.session import Session
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.registry.catalogue import Entry
    from napari_medsyn.scans.study import Scan, Study

app = typer.Typer(
    name="medsyn",
    help="Impute missing MR modalities, and look at generative models. Not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
models = typer.Typer(help="The models that can be used.", no_args_is_help=True)
app.add_typer(models, name="models")

#: What typer raises for wrong arguments.  Typer brings its own copy of click since 0.20 or
#: so and used the real one before; the base of its public exception is right for both.
_UsageError = cast("type[Exception]", typer.BadParameter.__base__)


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Register(StrEnum):
    """Whether scans are brought together and to the model's space."""

    AUTO = "auto"
    NEVER = "never"
    ALWAYS = "always"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `medsyn` and exit; the entry point of the package."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run `medsyn` with `arguments` (those of the process by default); give the exit status."""
    try:
        status = app(args=arguments, prog_name="medsyn", standalone_mode=False)
        return int(status or 0)
    except _UsageError as error:
        return _say(f"{error.format_message()} Try medsyn --help.", 2)  # type: ignore[attr-defined]
    except EngineError as error:
        return _say(str(error), 1)
    except MedsynError as error:
        return _say(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted; nothing was written", 130)


def _say(sentence: str, status: int) -> int:
    """One line on standard error, whatever the sentence holds."""
    print(f"medsyn: {' '.join(sentence.split())}", file=sys.stderr)  # noqa: T201
    return status


def _print(text: str) -> None:
    print(text)  # noqa: T201 - the answer of a command belongs on standard output


def _version(wanted: bool) -> None:
    if wanted:
        from napari_medsyn import __version__

        _print(f"medsyn {__version__}")
        raise typer.Exit


@app.callback()
def _medsyn(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


# ---- impute ------------------------------------------------------------------------


@app.command()
def impute(
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input", "-i", metavar="M=PATH", help="A scan and its modality; first gives the grid."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    targets: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", metavar="M", help="What to impute; all missing by default."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Id of the model; see models list.")] = None,
    samples: Annotated[int | None, typer.Option(help="Posterior samples to average.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="How far samples spread; 0 takes the mean path.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes all noise.")] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    mask: Annotated[
        Path | None, typer.Option(help="A brain mask; computed if not given and needed.")
    ] = None,
    n4: Annotated[bool, typer.Option("--n4/--no-n4", help="Correct the bias field.")] = False,
    register: Annotated[
        Register, typer.Option(help="Bring the scans together and to the model's space.")
    ] = Register.AUTO,
    all_outputs: Annotated[
        bool, typer.Option("--all-outputs", help="Reconstructions and residuals, too.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results.")] = False,
) -> None:
    """Impute missing modalities; writes imputed_*, uncertainty_* and provenance.json.

    Results are on the grid of the first input, in normalised intensity: 0 background, 1
    the 99.5th percentile of the brain.
    """
    from napari_medsyn.exploration.requests import PreparationOptions
    from napari_medsyn.exploration.resolving import KINDS
    from napari_medsyn.exploration.session import Session

    session = Session()
    session.choose_model(model or session.catalogue.default().id)
    card = cast("ModelCard", session.card)
    wanted = {"samples": samples, "temperature": temperature, "seed": seed}
    for name, value in wanted.items():
        if value is not None:
            session.set_control(name, value)
    session.set_kinds(KINDS if all_outputs else KINDS[:2])
    session.set_device(device.value)
    session.set_options(PreparationOptions(register=register.value, bias_field=n4))
    paths = _named_paths(inputs, card)
    if targets:
        session.set_control("targets", _target_names(targets, paths, card))
    session.set_study(_read_study(paths, mask))
    _impute_into(session, out, [*paths.values()], overwrite)


def _impute_into(session: Session, out: Path, sources: list[Path], overwrite: bool) -> None:
    """Compute what `session` is set to, and write it into `out`."""
    from napari_medsyn.exploration.saving import (
        Existing,
        check_targets,
        output_folder,
        save_results,
    )

    existing: Existing = "replace" if overwrite else "refuse"
    outputs = session.outputs()
    with output_folder(out):
        check_targets(outputs, out, existing, sources)
        with _progress(session):
            session.impute()
        failure, results = session.failure, session.results
        if failure is not None or results is None or session.results_reference is None:
            message = failure.message if failure is not None else "nothing came of it"
            kind = UnusableStudy if failure and failure.cause == "input" else EngineError
            raise kind(message)
        for note in results.notes:
            _say(note, 0)
        files = save_results(
            results, session.results_reference, out, existing=existing, protect=sources
        )
    for file in files:
        _print(str(file))


def _named_paths(inputs: Sequence[str], card: ModelCard) -> dict[str, Path]:
    """`M=PATH` arguments as modality to path, in their order."""
    paths: dict[str, Path] = {}
    for argument in inputs:
        name, separator, path = argument.partition("=")
        if not separator or not path:
            raise UnusableStudy(f"--input {argument}: write MODALITY=PATH, such as T1=scan.nii.gz")
        modality = _modality(name, card.inputs, f"{path}: {card.name} does not read {name!r}")
        if modality in paths:
            raise UnusableStudy(f"{path}: {modality} was given already as {paths[modality]}")
        paths[modality] = Path(path)
    return paths


def _target_names(
    targets: Sequence[str], paths: dict[str, Path], card: ModelCard
) -> tuple[str, ...]:
    names = [
        _modality(name, card.outputs, f"--target {name}: {card.name} does not give {name!r}")
        for name in targets
    ]
    for name in names:
        if name in paths:
            raise UnusableStudy(
                f"{paths[name]}: {name} is an input, so it is not imputed; leave out --target "
                f"{name}, or the input"
            )
    return tuple(names)


def _modality(name: str, known: Sequence[str], refusal: str) -> str:
    """The one of `known` that is `name`, whatever its case."""
    for modality in known:
        if modality.lower() == name.lower():
            return modality
    raise UnusableStudy(f"{refusal}; it knows {', '.join(known)}")


def _read_study(paths: dict[str, Path], mask: Path | None) -> Study:
    from napari_medsyn.scans.reading import read_scan
    from napari_medsyn.scans.study import Study

    scans: list[Scan] = []
    for modality, path in paths.items():
        scans.append(read_scan(path).with_modality(modality))
    del mask
    return Study(tuple(scans))


@contextmanager
def _progress(session: Session) -> Iterator[None]:
    """Show a bar on standard error while the body runs, if somebody is there to see it."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    from napari_medsyn.exploration.requests import Progress

    with Bars(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("Starting", total=None)

        def show(progress: Progress) -> None:
            bars.update(
                bar,
                description=progress.phase,
                completed=progress.done,
                total=progress.total or None,
            )

        session.progressed.connect(show)
        try:
            yield
        finally:
            session.progressed.disconnect(show)


# ---- models ------------------------------------------------------------------------

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


@models.command("list")
def list_models(as_json: Json = False) -> None:
    """List the models, broken ones with the reason."""
    from napari_medsyn.registry.catalogue import Catalogue

    entries = Catalogue().entries()
    if as_json:
        _print_json([_summary(entry) for entry in entries])
        return
    for entry in entries:
        card = entry.card
        if card is None:
            _print(f"{entry.id}  BROKEN: {entry.reason}")
        else:
            reads, gives = ", ".join(card.inputs), ", ".join(card.outputs)
            _print(f"{entry.id}  {card.version}  {card.name}: reads {reads}; gives {gives}")


@models.command("info")
def show_model(
    model_id: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False
) -> None:
    """Show all that a model's card says."""
    from napari_medsyn.registry.catalogue import Catalogue

    entry = Catalogue().get(model_id)
    card = cast("ModelCard", entry.card)
    if as_json:
        _print_json({**_summary(entry), "card": card.model_dump(mode="json")})
        return
    _print(f"{card.name} ({card.id} {card.version}), {card.licence}\n{card.summary}".rstrip())
    _print(f"reads {', '.join(card.inputs)}; gives {', '.join(card.outputs)}")
    _print(f"intended use: {card.intended_use}")
    for limitation in card.limitations:
        _print(f"limitation: {limitation}")
    for metric in card.metrics:
        note = f" ({metric.note})" if metric.note else ""
        _print(f"{metric.name}: {metric.value:g} on {metric.data_set}, n = {metric.n}{note}")
    for data in card.training_data:
        _print(f"trained on {data.name}, n = {data.n}, {data.licence}")
    _print(f"weights: {card.weights.bytes} bytes, SHA-256 {card.weights.sha256}")
    _print(f"folder: {entry.package}")


@models.command("verify")
def verify_models(
    model_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID|FOLDER]…", help="All models by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare every file of a model with its card; exit 2 if one is not as it should be."""
    answers = [_verified(entry) for entry in _chosen(model_ids or [])]
    if as_json:
        _print_json(answers)
    for answer in answers:
        if not as_json and answer["ok"]:
            _print(f"{answer['id']}: ok")
        elif not answer["ok"]:
            _say(str(answer["reason"]), 2)
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


def _summary(entry: Entry) -> dict[str, Any]:
    card = entry.card
    return {
        "id": entry.id,
        "folder": str(entry.package),
        "origin": entry.origin,
        "usable": entry.is_usable,
        "reason": entry.reason,
        "version": card.version if card else None,
        "name": card.name if card else None,
        "inputs": list(card.inputs) if card else [],
        "outputs": list(card.outputs) if card else [],
    }


def _print_json(value: Any) -> None:
    import json

    _print(json.dumps(value, indent=2))


# ---- the window --------------------------------------------------------------------


@app.command("app")
def open_app(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES]…", help="Scans to open.")
    ] = None,
) -> None:
    """Open napari with the MedSyn dock."""
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


if __name__ == "__main__":
    main()
