"""Scans as the command line names them: ``--input MODALITY=PATH``, ``--mask PATH``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medsyn.errors import UnusableStudy

if TYPE_CHECKING:
    from napari_medsyn.scans.study import Study


def named_paths(inputs: Sequence[str], known: Sequence[str], reader: str) -> dict[str, Path]:
    """`M=PATH` arguments as modality to path, in their order.

    Parameters
    ----------
    inputs : the arguments.
    known : modalities that may be given.
    reader : the refusal of another one, up to its name ("MMHVAE does not read").

    Raises
    ------
    UnusableStudy : an argument has another form, an unknown modality, or one given before.
    """
    paths: dict[str, Path] = {}
    for argument in inputs:
        name, separator, path = argument.partition("=")
        if not separator or not path:
            raise UnusableStudy(f"--input {argument}: write MODALITY=PATH, such as T1=scan.nii.gz")
        modality = known_modality(name, known, f"{path}: {reader} {name!r}")
        if modality in paths:
            raise UnusableStudy(f"{path}: {modality} was given already as {paths[modality]}")
        paths[modality] = Path(path)
    return paths


def known_modality(name: str, known: Sequence[str], refusal: str) -> str:
    """The one of `known` that is `name`, whatever its case.

    Raises
    ------
    UnusableStudy : there is none; `refusal`, and which there are.
    """
    for modality in known:
        if modality.lower() == name.lower():
            return modality
    raise UnusableStudy(f"{refusal}; it knows {', '.join(known)}")


def read_study(paths: dict[str, Path], mask: Path | None) -> Study:
    """Read the scans, and the brain mask if there is one."""
    from napari_medsyn.exploration.resolving import MASK
    from napari_medsyn.scans.reading import read_scan
    from napari_medsyn.scans.study import Study

    # By its path, so that whatever is said of a scan names the file as the user did.
    scans = [
        replace(read_scan(path), modality=modality, name=str(path))
        for modality, path in paths.items()
    ]
    if mask is not None:
        # By this modality and name the preparation knows it.
        scans.append(replace(read_scan(mask), modality=MASK, name="brain mask"))
    return Study(tuple(scans))


def reading_notes(study: Study) -> list[str]:
    """What the readers have to say of the files."""
    return [f"{scan.source}: {note}" for scan in study for note in scan.facts.get("notes", ())]
