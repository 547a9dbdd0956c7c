"""Making a package: files and card fields in, a folder that `verify` accepts out."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_medsyn.errors import UnusableFile
from napari_medsyn.registry.card import CARD_NAME, ModelCard, parse_card
from napari_medsyn.registry.packages import sha256_of, verify


def build_package(
    out: Path, fields: Mapping[str, Any], files: Mapping[str, bytes | Path]
) -> ModelCard:
    """Write a model package into a new folder, whole or not at all.

    Parameters
    ----------
    out : the folder; it must not exist, or be empty.
    fields : of the card, as JSON values, without `files`, which is filled in here.
    files : name within the package to its content, or to a file that is copied.

    Returns
    -------
    The card as it was written.

    Raises
    ------
    UnusableModel : card and files do not make a valid package; says what is wrong.
    UnusableFile : `out` holds something, or cannot be written to.
    """
    refuse_occupied(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".medsyn-", dir=out.parent) as draft:
            folder = Path(draft) / "package"
            listed = [_put(folder, name, content) for name, content in files.items()]
            text = json.dumps({**fields, "files": listed}, indent=2, allow_nan=False) + "\n"
            parse_card(text, str(out / CARD_NAME))
            folder.mkdir(exist_ok=True)
            (folder / CARD_NAME).write_text(text, encoding="utf-8")
            card = verify(folder)
            if out.is_dir():
                out.rmdir()
            os.replace(folder, out)
            return card
    except OSError as error:
        raise UnusableFile(out, f"cannot be written to ({error.strerror})") from error


def refuse_occupied(out: Path) -> None:
    """Refuse to build where something is.

    Raises
    ------
    UnusableFile : `out` is a file, or a folder that is not empty.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UnusableFile(out, "exists and is not a folder; choose another --out")
    if out.is_dir() and any(out.iterdir()):
        raise UnusableFile(out, "is not empty; choose a new folder")


def _put(folder: Path, name: str, content: bytes | Path) -> dict[str, Any]:
    """Write one file; give its entry of the card."""
    path = folder / name
    # Before anything is written: a name from somebody's file must not lead out of here.
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UnusableFile(folder, f"file name {name!r} leads out of the package")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        shutil.copyfile(content, path)
    return {"name": name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
