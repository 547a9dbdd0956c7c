"""`medsyn impute`: the session without Qt, from files to files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from napari_medsyn.cli.inputs import known_modality, named_paths, read_study, reading_notes
from napari_medsyn.cli.printing import say, show
from napari_medsyn.errors import EngineError, UnusableStudy

if TYPE_CHECKING:
    from napari_medsyn.exploration.session import Session
    from napari_medsyn.registry.card import ModelCard


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
    paths = named_paths(inputs, card.inputs, f"{card.name} does not read")
    if targets:
        session.set_control("targets", _target_names(targets, paths, card))
    session.set_study(read_study(paths, mask))
    sources = [*paths.values(), *([mask] if mask is not None else [])]
    _impute_into(session, out, sources, overwrite)


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
        files = save_results(
            results, session.results_reference, out, existing=existing, protect=sources
        )
    # Only now: what cannot be used is told in one line.
    for note in (*reading_notes(session.study), *results.notes):
        say(note)
    for file in files:
        show(str(file))


def _target_names(
    targets: Sequence[str], paths: dict[str, Path], card: ModelCard
) -> tuple[str, ...]:
    names = [
        known_modality(name, card.outputs, f"--target {name}: {card.name} does not give {name!r}")
        for name in targets
    ]
    for name in names:
        if name in paths:
            raise UnusableStudy(
                f"{paths[name]}: {name} is an input, so it is not imputed; leave out --target "
                f"{name}, or the input"
            )
    return tuple(names)


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
