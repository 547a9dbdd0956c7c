"""Changing a package that one is still working on: the card follows its files.

Whoever edits the weights, a file or the card of a package has hashes that are no longer
right, and the package is refused until it is sealed again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.card import CARD_NAME, MAX_CARD_BYTES, ModelCard, parse_card
from napari_medsyn.registry.card_errors import json_problem
from napari_medsyn.registry.packages import CODE, sha256_of, verify
from napari_medsyn.scans.atomic import whole_file

#: Files that every package may have, and that are put on the card when they are there.
_USUAL: Final = ("preview.png", "LICENSE.txt", "LICENSE.md")

#: What lies in a folder of code without being part of it.
_LEFT_OVER: Final = ("__pycache__", ".")


def seal(package: Path) -> list[str]:
    """Write size and SHA-256 of every file of a package into its card.

    A preview and a licence that are new are added to the card.  So are, of a package that
    brings code, files in its folder `code`, and those that are gone are taken off it.

    Parameters
    ----------
    package : the folder.

    Returns
    -------
    Sentences about what has changed; none if the card was right already.

    Raises
    ------
    UnusableModel : a file that the card lists is missing, or the card is not valid.
    """
    notes: list[str] = []

    def follow_files(fields: dict[str, Any]) -> None:
        entries = {entry["name"]: entry for entry in fields.get("files", [])}
        new = [name for name in _USUAL if (package / name).is_file()]
        if fields.get("execution") == "isolated":
            code = _code(package)
            for name in [n for n in entries if n.startswith(CODE) and n not in code]:
                del entries[name]
                notes.append(f"{name} is gone, so the card no longer lists it")
            new += code
        for name in [n for n in new if n not in entries]:
            entries[name] = {"name": name}
            notes.append(f"{name} is new on the card")
        for name, entry in entries.items():
            facts = file_facts(package, name)
            if "sha256" in entry and any(entry.get(key) != facts[key] for key in facts):
                notes.append(f"{name} has changed")
            entry.update(facts)
        fields["files"] = list(entries.values())

    rewrite_card(package, follow_files)
    return notes


def file_facts(package: Path, name: str) -> dict[str, Any]:
    """Name, size and SHA-256 of one file of a package, as its card lists them.

    Raises
    ------
    UnusableModel : there is no such file, or it is a link.
    """
    path = package / name
    if path.is_symlink() or not path.is_file():
        raise UnusableModel(
            f"{path}: is missing; put the file there, or take its entry off the card's `files`"
        )
    return {"name": name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


def rewrite_card(package: Path, change: Callable[[dict[str, Any]], None]) -> ModelCard:
    """Change a package's card, whole or not at all; everything else on it stays.

    Parameters
    ----------
    package : the folder.
    change : is given the card's JSON values and alters them.

    Returns
    -------
    The card as it is now.  The package as a whole is verified.

    Raises
    ------
    UnusableModel : what is there is no card, or what came of it is none.
    UnusableFile : the folder cannot be written to.
    """
    path = package / CARD_NAME
    fields = _read(path)
    change(fields)
    text = json.dumps(fields, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    parse_card(text, str(path))
    if text != path.read_text(encoding="utf-8"):
        with whole_file(path, overwrite=True) as draft:
            draft.write_text(text, encoding="utf-8")
    return verify(package)


def _read(path: Path) -> dict[str, Any]:
    """The card's JSON, which need not be a valid card yet."""
    try:
        if path.is_symlink() or path.stat().st_size > MAX_CARD_BYTES:
            raise UnusableModel(f"{path}: is a link or too large, so not a card")
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnusableModel(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UnusableModel(f"{path}: is not JSON ({json_problem(error)})") from error
    files = fields.get("files", []) if isinstance(fields, dict) else None
    if not isinstance(files, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in files
    ):
        raise UnusableModel(f"{path}: is not a card: `files` must be a list of files with a name")
    return dict(fields)


def _code(package: Path) -> list[str]:
    """Names of the files in the folder `code`, sorted; links are for `verify` to refuse."""
    folder = package / CODE
    files = (path.relative_to(package) for path in folder.rglob("*") if not path.is_dir())
    return sorted(
        path.as_posix()
        for path in files
        if not any(step.startswith(_LEFT_OVER) for step in path.parts)
    )
