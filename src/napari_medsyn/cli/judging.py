"""`medsyn judge`: measurements of scans, real or synthetic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_medsyn.cli.imputing import Device
from napari_medsyn.cli.inputs import named_paths, read_study, reading_notes
from napari_medsyn.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from napari_medsyn.evaluation.judging import Judgement
    from napari_medsyn.scans.study import Study


def judge(
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input", "-i", metavar="M=PATH", help="A scan and its modality; first gives the grid."
        ),
    ],
    judges: Annotated[
        list[str] | None,
        typer.Option("--judge", "-j", metavar="ID", help="All that can read the scans by default."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for label maps and provenance.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="A brain mask; computed if not given and needed.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results.")] = False,
) -> None:
    """Measure scans with the judges: age, sex, volumes, lesions. Not for diagnosis.

    With --out, each judge writes its label maps, on the grid of the first input, and
    provenance.json into a folder of its own.
    """
    from napari_medsyn.evaluation import judging
    from napari_medsyn.registry.catalogue import Catalogue

    known = dict.fromkeys(
        name for e in Catalogue().judges() if e.card is not None for name in e.card.inputs
    )
    paths = named_paths(inputs, tuple(known), "no installed judge reads")
    study = read_study(paths, mask)
    judgements = judging.judge(study, judges or None, device=device.value)
    sources = [*paths.values(), *([mask] if mask is not None else [])]
    files = _write(judgements, study, out, sources, overwrite) if out is not None else []
    for note in dict.fromkeys(
        (*reading_notes(study), *(note for j in judgements for note in j.prepared.notes))
    ):
        say(note)
    if as_json:
        show_json([_told(judgement) for judgement in judgements])
        return
    _show_table(judgements)
    for file in files:
        show(str(file))


def _told(judgement: Judgement) -> dict[str, Any]:
    from napari_medsyn.scans.provenance import PURPOSE

    return {**judgement.as_dict(), "purpose": PURPOSE}


def _show_table(judgements: Sequence[Judgement]) -> None:
    from rich.console import Console
    from rich.table import Table

    from napari_medsyn.scans.provenance import PURPOSE

    synthetic = any(judgement.is_synthetic for judgement in judgements)
    table = Table(
        title="Measured on a SYNTHETIC scan" if synthetic else None, caption=f"{PURPOSE}."
    )
    for heading in ("Judge", "Reading"):
        table.add_column(heading)
    for heading in ("Value", "±"):
        table.add_column(heading, justify="right")
    table.add_column("Unit")
    for judgement in judgements:
        told = judgement.as_dict()
        for row, reading in enumerate(told["readings"]):
            spread = "" if reading["spread"] is None else f"{reading['spread']:.3g}"
            name = told["judge"] if row == 0 else ""
            value = f"{reading['value']:.4g}"
            table.add_row(name, reading["label"], value, spread, reading["unit"])
        table.add_section()
    Console().print(table)


def _write(
    judgements: Sequence[Judgement], study: Study, out: Path, sources: list[Path], overwrite: bool
) -> list[Path]:
    """Each judge's maps and provenance in its own folder within `out`."""
    from napari_medsyn.exploration.requests import Finished
    from napari_medsyn.exploration.saving import Existing, check_targets, save_results

    existing: Existing = "replace" if overwrite else "refuse"
    for judgement in judgements:
        check_targets(judgement.card.outputs, out / judgement.card.id, existing, sources)
    files = []
    for judgement in judgements:
        results = Finished(0, judgement.maps(), _provenance(judgement, study))
        folder = out / judgement.card.id
        files += save_results(results, study.reference, folder, existing=existing, protect=sources)
    return files


def _provenance(judgement: Judgement, study: Study) -> dict[str, Any]:
    from napari_medsyn.scans.provenance import ProvenanceRecord, source_hashes

    card = judgement.card
    record = ProvenanceRecord(
        model=card.id,
        weights_sha256=card.weights_sha256,
        controls={},
        seed=0,
        sources=source_hashes(study),
        device=judgement.device,
        steps=tuple(judgement.prepared.steps),
        extra={
            "model_version": card.version,
            "model_name": card.name,
            "model_family": card.family,
            "model_licence": card.licence,
            "outputs": list(card.outputs),
            "legends": {
                name: {entry.code: entry.name for entry in legend}
                for name, legend in card.legends.items()
            },
            "readings": judgement.as_dict()["readings"],
            "sources_are_synthetic": judgement.is_synthetic,
        },
    )
    return record.as_dict()
