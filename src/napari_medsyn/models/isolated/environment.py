"""Which Python runs a package: this one where it has what the package needs, or one of its own.

Nothing is ever installed into napari's own environment.  A package whose requirements are
not met there gets an environment below the user's data folder, made when the user asks
for it and shared by all packages with the same requirements.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from napari_medsyn.errors import EngineError, UnusableModel
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import user_folder

#: Written last: an environment without it was not finished.
_DONE: Final = "medsyn-environment.json"

#: What the runner itself needs.
_OURS: Final = "numpy"


def interpreter(card: ModelCard) -> Path:
    """The Python that a package runs with.

    Raises
    ------
    UnusableModel : this one lacks what the package needs, and it has none of its own.
    """
    folder = folder_of(card)
    if (folder / _DONE).is_file():
        return _python(folder)
    missing = missing_packages(card.requires.packages)
    if missing:
        raise UnusableModel(
            f"{card.id} needs {', '.join(missing)}, which this Python does not have; "
            f"`medsyn models environment {card.id}` makes an environment of its own for it"
        )
    return Path(sys.executable)


def folder_of(card: ModelCard) -> Path:
    """Where the environment for a package's requirements is, or would be."""
    text = "\n".join(sorted(set(card.requires.packages)))
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return user_folder().parent / "environments" / key


def missing_packages(requirements: Sequence[str]) -> list[str]:
    """Which PEP 508 requirements this Python does not meet; all that cannot be read."""
    from packaging.requirements import InvalidRequirement, Requirement

    missing = []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            missing.append(text)
            continue
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(text)
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            missing.append(f"{text} (there is {version})")
    return missing


def create(
    card: ModelCard, *, python: Path | None = None, tell: Callable[[str], object] | None = None
) -> Path:
    """Make the environment for a package's requirements; give its Python.

    pip works with the user's own settings (index, proxy).  One that is there already is
    kept, one that was not finished is made again.

    Parameters
    ----------
    card : of the package.
    python : makes the environment, for packages that want an older one; 3.9 or later.
    tell : called with what is being done.

    Raises
    ------
    EngineError : it could not be made; says what pip said.
    """
    folder = folder_of(card)
    if (folder / _DONE).is_file():
        return _python(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    tell = tell or (lambda _sentence: None)
    wanted = [*dict.fromkeys([_OURS, *card.requires.packages])]
    try:
        tell(f"Making an environment in {folder}")
        _run([str(python or sys.executable), "-m", "venv", str(folder)])
        tell(f"Installing {', '.join(wanted)}")
        # "--": a requirement that begins with a dash is none.
        pip = [str(_python(folder)), "-m", "pip", "install", "--disable-pip-version-check"]
        _run([*pip, "--", *wanted])
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    (folder / _DONE).write_text(json.dumps({"packages": wanted}) + "\n", encoding="utf-8")
    return _python(folder)


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise EngineError(
            f"the environment could not be made: {said[-1] if said else 'no reason given'}"
        )
