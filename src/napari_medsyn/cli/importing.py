"""`medsyn models import`: other people's models, read as data and turned into packages.

Nothing in a model file is ever run here.  Each importer writes a package folder (a card
and safetensors) or refuses with the reason; `medsyn models install` then adds it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medsyn.cli.printing import say, show

group = typer.Typer(help="Turn other people's models into packages.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the new package.")]
Id = Annotated[str | None, typer.Option("--id", help="Id of the model; from the file's name.")]
Licence = Annotated[
    str | None, typer.Option(help="SPDX identifier of the weights' licence, if you know it.")
]


@group.command("mmhvae")
def import_mmhvae(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT.pth")],
    out: Out,
    model_id: Id = None,
    licence: Licence = None,
    spacing: Annotated[
        float | None,
        typer.Option(
            min=0.05, max=10, metavar="MM", help="Size of a pixel that it was trained on."
        ),
    ] = None,
) -> None:
    """A published MMHVAE or MHVAE state dict."""
    from napari_medsyn.registry.importers.mmhvae_checkpoint import import_checkpoint

    notes = import_checkpoint(
        checkpoint, out, model_id=model_id, licence=licence, spacing_mm=spacing
    )
    _tell(out, notes)


@group.command("stylegan")
def import_stylegan(
    snapshot: Annotated[Path, typer.Argument(metavar="SNAPSHOT.pkl")],
    labels: Annotated[
        Path, typer.Option(metavar="SPEC.json", help="What each number of the label vector means.")
    ],
    out: Out,
    model_id: Id = None,
    licence: Licence = None,
) -> None:
    """A StyleGAN2 or StyleGAN3 snapshot, MSSG's included; nothing in it is run."""
    from napari_medsyn.registry.importers.stylegan_snapshot import import_snapshot

    _tell(out, import_snapshot(snapshot, labels, out, model_id=model_id, licence=licence))


@group.command("monai-bundle")
def import_monai_bundle(
    bundle: Annotated[Path, typer.Argument(metavar="DIR")],
    out: Out,
    model_id: Id = None,
    licence: Licence = None,
) -> None:
    """A generative MONAI bundle; its configuration is read as data."""
    from napari_medsyn.models.monai.importing import import_bundle

    _tell(out, import_bundle(bundle, out, model_id=model_id, licence=licence))


@group.command("medigan")
def import_medigan(
    registry: Annotated[Path, typer.Argument(metavar="GLOBAL.json")],
    out: Out,
    package: Annotated[
        list[Path] | None,
        typer.Option(help="A downloaded medigan package, to be run after your consent."),
    ] = None,
) -> None:
    """Every entry of medigan's registry, as cards; OUT gets one folder for each."""
    from napari_medsyn.registry.importers.medigan import import_registry

    _tell(out, import_registry(registry, out, packages=tuple(package or ())))


def _tell(out: Path, notes: list[str]) -> None:
    """Say what could not be taken over, then where the package is."""
    for note in notes:
        say(note)
    show(str(out))
