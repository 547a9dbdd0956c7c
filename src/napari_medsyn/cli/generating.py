"""`medsyn generate`: samples of a model as files."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast

import typer

from napari_medsyn.cli.imputing import Device, Register
from napari_medsyn.cli.inputs import known_modality, named_paths, read_study, reading_notes
from napari_medsyn.cli.printing import say, show
from napari_medsyn.cli.progress import progress_bar
from napari_medsyn.errors import Cancelled, UnusableStudy

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.study import Study


#: More samples' files than these are not named one by one.
MOST_NAMED: Final = 20


class Format(StrEnum):
    """Of the samples' files."""

    AUTO = "auto"
    NII = "nii"
    PNG = "png"
    NPY = "npy"


class Bits(StrEnum):
    """Of a PNG's grey values."""

    EIGHT = "8"
    SIXTEEN = "16"


def generate(
    model: Annotated[str, typer.Option(help="Id of the model; see models list.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the samples.")],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="How many samples.")] = 1,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of the first sample; the next has one more.")
    ] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME=VALUE,…",
            help="Controls of the model's card, as in age=70,sex=F; see models info.",
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="M=PATH", help="A scan, for models that read some."),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", metavar="M", help="Which outputs; all by default."),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="png for flat pictures, else nii, if auto.")
    ] = Format.AUTO,
    bits: Annotated[Bits, typer.Option(help="Of a png's grey values.")] = Bits.EIGHT,
    sheet: Annotated[bool, typer.Option("--sheet", help="All samples in one picture.")] = False,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Most images computed at a time; 8 by default.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    mask: Annotated[Path | None, typer.Option(help="A brain mask, with --input.")] = None,
    n4: Annotated[bool, typer.Option("--n4/--no-n4", help="Correct the bias field.")] = False,
    register: Annotated[
        Register, typer.Option(help="Bring the scans together and to the model's space.")
    ] = Register.AUTO,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace samples.")] = False,
) -> None:
    """Generate samples; writes sample_0001.png (or .nii.gz), … and provenance.json.

    Sample i is the same whether it is made alone or among others. With --input, each is one
    posterior draw of what is missing, on the grid of the first input.
    """
    from napari_medsyn.cli.control_values import parse_settings
    from napari_medsyn.exploration.generating import find_model, generate_to
    from napari_medsyn.exploration.requests import PreparationOptions

    _, card = find_model(model)
    controls = parse_settings(card, settings or [])
    if targets:
        refusal = f"{card.name} does not give"
        controls["targets"] = [
            known_modality(name, card.outputs, f"--target {name}: {refusal} {name!r}")
            for name in targets
        ]
    study = _study(card, inputs or [], mask)
    done = 0.0

    def count(now: float, total: int, phase: str) -> None:
        nonlocal done
        done = now
        draw(now, total, phase)

    try:
        with progress_bar() as draw:
            written = generate_to(
                out,
                model,
                n,
                seed,
                controls,
                study,
                format=form.value,
                bits=cast("Literal[8, 16]", int(bits)),
                sheet=sheet,
                overwrite=overwrite,
                device=device.value,
                batch=batch,
                options=PreparationOptions(register=register.value, bias_field=n4),
                tell=count,
            )
    except KeyboardInterrupt as error:
        left = f"{int(done)} of {n} samples were written to {out}" if done >= 1 else ""
        raise Cancelled(f"interrupted; {left or 'nothing was written'}") from error
    for note in (*(reading_notes(study) if study else ()), *written.notes):
        say(note)
    _show_files(written.files)


def _show_files(files: Sequence[Path]) -> None:
    """Name the files: all of a few; of many the first and the last samples, and the record."""
    samples = [file for file in files if file.name.startswith("sample_")]
    if len(samples) > MOST_NAMED:
        show(f"{samples[0]} to {samples[-1].name}: {len(samples)} files")
        files = files[len(samples) :]
    for file in files:
        show(str(file))


def _study(card: ModelCard, inputs: list[str], mask: Path | None) -> Study | None:
    """The patient's scans; None where none are given."""
    if not inputs:
        if mask is not None:
            raise UnusableStudy(f"{mask}: a mask goes with scans; give them by --input M=PATH")
        return None
    if not card.inputs:
        raise UnusableStudy(f"--input {inputs[0]}: {card.name} reads no scans; leave it out")
    if card.purpose == "counterfactual":
        raise UnusableStudy(
            f"--input {inputs[0]}: generate makes images of nobody with {card.name}; of a "
            "patient, medsyn counterfactual makes them"
        )
    return read_study(named_paths(inputs, card.inputs, f"{card.name} does not read"), mask)
