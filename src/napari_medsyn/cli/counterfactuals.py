"""`medsyn counterfactual`: the patient's scan, had something been otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_medsyn.cli.imputing import Device, Register
from napari_medsyn.cli.inputs import named_paths, read_study, reading_notes
from napari_medsyn.cli.printing import say, show
from napari_medsyn.cli.progress import progress_bar
from napari_medsyn.errors import UnusableFile, UnusableModel

if TYPE_CHECKING:
    from napari_medsyn.exploration.counterfactual_results import Counterfactual
    from napari_medsyn.exploration.plausible import Hint


def counterfactual(
    model: Annotated[str, typer.Option(help="Id of the model; see models list.")],
    inputs: Annotated[
        list[str],
        typer.Option("--input", "-i", metavar="M=PATH", help="The patient's scan: T1=a.nii.gz."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME=VALUE,…",
            help="What is to be otherwise: age=70,sex=F; own and unknown are values, too.",
        ),
    ] = None,
    stated: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="NAME=VALUE,…",
            help="What is known of the patient: age=40,sex=F; the model estimates the rest.",
        ),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=FROM:TO:STEPS",
            help="A series: age=30:80:11, or a list of values, sex=F,M.",
        ),
    ] = None,
    separate: Annotated[
        bool, typer.Option("--separate", help="A sweep as one 3D file a step, not as 4D files.")
    ] = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Let what depends on it go along: ventricles with age, …."),
    ] = False,
    animation: Annotated[
        Path | None, typer.Option(metavar="GIF", help="Of a sweep: its liveliest axial plane.")
    ] = None,
    judge: Annotated[
        bool,
        typer.Option("--judge", help="Measure age, sex and ventricles of scan and result."),
    ] = False,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    mask: Annotated[
        Path | None, typer.Option(help="A brain mask; computed if not given and needed.")
    ] = None,
    n4: Annotated[bool, typer.Option("--n4/--no-n4", help="Correct the bias field.")] = False,
    register: Annotated[
        Register, typer.Option(help="Bring the scan to the model's space.")
    ] = Register.AUTO,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results.")] = False,
) -> None:
    """Show a patient's scan at another age, sex, …. Not a prediction; not for diagnosis.

    Writes counterfactual_T1.nii.gz, difference_T1.nii.gz, jacobian_T1.nii.gz (if the model
    deforms) and provenance.json, on the grid and in the intensities of the scan. What is not
    set stays at the patient's own value, which the model estimates unless --from says it.
    """
    from napari_medsyn.cli.control_values import parse_settings, parse_sweep
    from napari_medsyn.exploration import counterfactuals
    from napari_medsyn.exploration.counterfactual_results import outputs_of
    from napari_medsyn.exploration.requests import PreparationOptions

    _, card = counterfactuals.find_counterfactual_model(model)
    changes = parse_settings(card, settings or [], own=card.covariates, seed_option="")
    known = parse_settings(card, stated or [], option="--from", among=card.covariates)
    swept = parse_sweep(card, sweep, card.covariates) if sweep is not None else None
    _check_series(settings, swept, changes, separate, animation)
    if judge:
        _check_judge()
    paths = named_paths(inputs, card.inputs, f"{card.name} does not read")
    study = read_study(paths, mask)
    sources = [*paths.values(), *([mask] if mask is not None else [])]
    if animation is not None:
        _check_animation(animation, out, overwrite, sources)
    with _folder(out, _stems(outputs_of(card, paths), swept, separate), overwrite, sources):
        with progress_bar() as tell:
            made = counterfactuals.counterfactual(
                card.id,
                study,
                changes,
                from_=known,
                sweep=None if swept is None else dict([swept]),
                follow=follow,
                device=device.value,
                options=PreparationOptions(register=register.value, bias_field=n4),
                tell=tell,
            )
            made = made.measured(tell=tell) if judge else made
        files = made.save(
            out,
            existing="replace" if overwrite else "refuse",
            separate=separate,
            protect=sources,
        )
        if animation is not None:
            files.append(made.animate(animation, overwrite=overwrite))
    _tell(made, reading_notes(study))
    for file in files:
        show(str(file))


def _tell(made: Counterfactual, notes: Sequence[str]) -> None:
    """What was found on standard output, what to beware of on standard error."""
    from napari_medsyn.cli.counterfactual_tables import show_findings, show_measured

    warning = [made.findings.warning] if made.findings.warning else []
    for note in dict.fromkeys((*notes, *made.notes, *warning)):
        say(note)
    for hint in made.hints:
        say(_told(hint))
    show_findings(made)
    if made.measurements is not None:
        show_measured(made, made.measurements)


def _told(hint: Hint) -> str:
    """A hint with what to type; what a covariate depends on could also be left to --follow."""
    from napari_medsyn.cli.control_values import value_text

    if hint.value is None:
        return f"hint: {hint.sentence}"
    also = ", or let it --follow" if hint.kind == "depends" else ""
    return f"hint: {hint.sentence} (--set {hint.control}={value_text(hint.value)}{also})"


def _check_series(
    settings: Sequence[str] | None,
    swept: tuple[str, tuple[Any, ...]] | None,
    changes: dict[str, Any],
    separate: bool,
    animation: Path | None,
) -> None:
    """Refuse options that do not go together."""
    if swept is not None and swept[0] in changes:
        raise UnusableModel(
            f"--sweep {swept[0]}: {swept[0]} is set by --set, too; leave one of the two out"
        )
    if swept is None and not settings:
        raise UnusableModel("nothing is to be otherwise; say --set age=70 or --sweep age=30:80:11")
    for option, is_given in (("--separate", separate), ("--animation", animation is not None)):
        if is_given and swept is None:
            raise UnusableModel(f"{option} is of a series; say --sweep age=30:80:11, too")


def _check_judge() -> None:
    """Refuse, before anything is computed, a judge that is not there."""
    from napari_medsyn.exploration.counterfactual_judging import JUDGE
    from napari_medsyn.registry.catalogue import Catalogue

    entry = Catalogue().get(JUDGE, "judge")
    if not entry.can_run:
        raise UnusableModel(f"--judge: {JUDGE} cannot be run: {entry.why_not}; leave it out")


def _check_animation(path: Path, out: Path, overwrite: bool, sources: Sequence[Path]) -> None:
    """Refuse, before anything is computed, a file that the animation could not become."""
    if path.suffix.lower() != ".gif":
        raise UnusableFile(path, "an animation is a .gif; give it that ending")
    if path.parent.resolve() != out.resolve() and not path.parent.is_dir():
        raise UnusableFile(path.parent, "is not a folder; make it first")
    if path.exists() and not overwrite:
        raise UnusableFile(path, "exists already; choose another name or say --overwrite")
    if path.exists() and any(path.samefile(source) for source in sources):
        raise UnusableFile(path, "is a source of this result and is not replaced")


def _stems(
    outputs: Sequence[str], swept: tuple[str, tuple[Any, ...]] | None, separate: bool
) -> Sequence[str]:
    """Names, without endings, of the files that are written."""
    from napari_medsyn.exploration.counterfactual_results import step_names

    return step_names(outputs, *swept) if swept is not None and separate else outputs


@contextmanager
def _folder(
    out: Path, stems: Sequence[str], overwrite: bool, sources: Sequence[Path]
) -> Iterator[None]:
    """The folder of the results, in which nothing stands in the way; gone if the body fails."""
    from napari_medsyn.exploration.saving import check_targets, output_folder

    with output_folder(out):
        check_targets(stems, out, "replace" if overwrite else "refuse", sources)
        yield
