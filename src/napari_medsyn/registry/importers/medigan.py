"""Importing medigan's registry: each of its entries becomes a card.

The registry, a JSON file, describes models that are downloaded from Zenodo as zips with
Python code and pickled weights.  Its entries become cards that can be searched and ranked.
For packages that the user has downloaded, code and weights are copied beside the card: such
a model runs in a process of its own, after the user's consent.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from napari_medsyn.errors import MedsynError, UnusableFile, UnusableModel
from napari_medsyn.registry.building import build_package, refuse_occupied
from napari_medsyn.registry.importers.medigan_entry import card_fields, slug_of
from napari_medsyn.registry.importers.medigan_package import Download, package_fields

#: medigan's own is 134 kB.
MAX_REGISTRY_BYTES: Final = 16 * 2**20
MAX_ENTRIES: Final = 5000


def import_registry(registry_json: Path, out: Path, *, packages: Sequence[Path] = ()) -> list[str]:
    """Write a package for each entry of medigan's `global.json`.

    Parameters
    ----------
    registry_json : the registry.
    out : folder that gets one folder for each entry; it must not exist, or be empty.
    packages : downloaded packages, folders or zips, of some of the entries.

    Returns
    -------
    Sentences about what could not be taken over, each with the entry's id.

    Raises
    ------
    UnusableFile : the registry cannot be read, or `out` not be written to.
    UnusableModel : a package belongs to no entry, or lacks its weights or code.
    """
    refuse_occupied(out)
    text, entries = _read(registry_json)
    downloads = _assign([Download(path) for path in packages], entries)
    notes = [
        "medigan's registry names no authors and says nothing of pixel sizes, intensities or "
        "hashes; no card from it can"
    ]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".medsyn-", dir=out.parent) as place:
            draft = Path(place) / "cards"
            draft.mkdir()
            source = {"registry_sha256": hashlib.sha256(text).hexdigest()}
            for medigan_id, value in entries.items():
                notes += _import_entry(draft, medigan_id, value, source, downloads.get(medigan_id))
            if not any(draft.iterdir()):
                raise UnusableFile(registry_json, "holds no entry that can be used")
            if out.is_dir():
                out.rmdir()
            os.replace(draft, out)
    except OSError as error:
        raise UnusableFile(out, f"cannot be written to ({error.strerror})") from error
    return notes


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        if path.stat().st_size > MAX_REGISTRY_BYTES:
            raise UnusableFile(path, f"is larger than {MAX_REGISTRY_BYTES} bytes, so no registry")
        text = path.read_bytes()
    except OSError as error:
        raise UnusableFile(path, f"cannot be read ({error.strerror})") from error
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableFile(path, f"is not JSON ({error})") from error
    if not isinstance(value, dict) or not value:
        raise UnusableFile(path, "is not medigan's registry: no object of entries by their ids")
    if len(value) > MAX_ENTRIES:
        raise UnusableFile(path, f"holds more than {MAX_ENTRIES} entries, so no registry")
    return text, value


def _assign(downloads: Sequence[Download], entries: dict[str, Any]) -> dict[str, Download]:
    """The download of each entry that has one."""
    assigned: dict[str, Download] = {}
    for download in downloads:
        owners = [
            medigan_id
            for medigan_id, value in entries.items()
            if download.belongs_to(medigan_id, _package_name(value))
        ]
        if not owners:
            raise UnusableModel(
                f"{download.path}: is the package of no entry; it must be called as medigan "
                "calls it, for example 00001_DCGAN_MMG_CALC_ROI.zip"
            )
        assigned[owners[0]] = download
    return assigned


def _package_name(value: Any) -> str:
    execution = value.get("execution") if isinstance(value, dict) else None
    name = execution.get("package_name") if isinstance(execution, dict) else None
    return name if isinstance(name, str) else ""


def _import_entry(
    draft: Path, medigan_id: str, value: Any, source: dict[str, str], download: Download | None
) -> list[str]:
    """Write the package of one entry; give the notes."""
    notes: list[str] = []
    work = draft.parent / "unpacked"
    try:
        fields = card_fields(medigan_id, value, notes)
        fields["provenance"] |= source
        files: dict[str, bytes | Path] = {}
        if download is not None:
            work.mkdir()
            found = download.copy(work, notes)
            fields, files = package_fields(fields, medigan_id, found, download.path)
        build_package(draft / slug_of(medigan_id), fields, files)
    except MedsynError as error:
        # A package that the user names is to be had or refused; an entry is one of many.
        if download is not None:
            raise
        notes = [f"left out: {str(error).replace(str(draft) + os.sep, '')}"]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return [f"{medigan_id}: {note}" for note in notes]
