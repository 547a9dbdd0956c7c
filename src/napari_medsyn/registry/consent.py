"""Consent to run the code that a package brings, given by the user and remembered.

It is bound to every byte of the package: the card, which says what is called and how, and
the files with the hashes that the card gives them, which are compared with the files
themselves before anything is started.  One changed byte and the user is asked again.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.card import CARD_NAME, ModelCard
from napari_medsyn.registry.packages import CODE, sha256_of, verify
from napari_medsyn.scans.atomic import whole_file

_FILE: Final = "consents.json"


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """What a user consents to.

    Parameters
    ----------
    folder : where the code is.
    files : the files in it, with their SHA-256.
    sha256 : over the card and all files of the package.
    """

    folder: Path
    files: tuple[tuple[str, str], ...]
    sha256: str


def code_facts(package: Path, card: ModelCard) -> CodeFacts:
    """What there is to consent to; reads the card's file only.

    Raises
    ------
    UnusableModel : the package brings no code, or its card cannot be read.
    """
    if card.execution != "isolated":
        raise UnusableModel(f"{card.id} brings no code, so there is nothing to trust")
    try:
        lines = [f"{CARD_NAME} {sha256_of(package / CARD_NAME)}"]
    except OSError as error:
        raise UnusableModel(f"{package / CARD_NAME}: cannot be read ({error.strerror})") from error
    lines += sorted(f"{file.name} {file.sha256}" for file in card.files)
    files = tuple((f.name, f.sha256) for f in card.files if f.name.startswith(CODE))
    sha256 = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return CodeFacts(package / CODE.rstrip("/"), files, sha256)


def has_consent(package: Path, card: ModelCard) -> bool:
    """Whether the user has consented to exactly this package."""
    return code_facts(package, card).sha256 in _read()


def give_consent(package: Path, card: ModelCard) -> CodeFacts:
    """Remember the user's consent to this package as it is now.

    Raises
    ------
    UnusableModel : it brings no code, or is not what its card says.
    UnusableFile : the user's data folder cannot be written to.
    """
    if verify(package) != card:
        raise UnusableModel(f"{package}: the card has changed; look at the model again")
    facts = code_facts(package, card)
    given = datetime.now(UTC).isoformat(timespec="seconds")
    told = {"id": card.id, "version": card.version, "folder": str(facts.folder), "given": given}
    _write({**_read(), facts.sha256: told})
    return facts


def withdraw_consent(package: Path, card: ModelCard) -> bool:
    """Forget the user's consent to this package; whether there was one."""
    consents = _read()
    was_there = consents.pop(code_facts(package, card).sha256, None) is not None
    if was_there:
        _write(consents)
    return was_there


def require_consent(package: Path, card: ModelCard, shown: Path | None = None) -> None:
    """Refuse to go on without consent.

    Parameters
    ----------
    package, card : what is about to be started.
    shown : where the user knows the package, if `package` is a copy.

    Raises
    ------
    UnusableModel : there is none; says what the code is and what to do.
    """
    if has_consent(package, card):
        return
    facts = code_facts(package, card)
    raise UnusableModel(
        f"{card.id} brings code of its own ({(shown or package) / CODE}, SHA-256 "
        f"{facts.sha256}) and does not run without your consent; look at the code, then "
        f"trust it in the Models dock or with `medsyn models trust {card.id}`"
    )


def _file() -> Path:
    from napari_medsyn.registry.catalogue import user_folder

    return user_folder().parent / _FILE


def _read() -> dict[str, Any]:
    """Hash to facts about the consent; nothing where the file cannot be understood."""
    try:
        value = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _write(consents: dict[str, Any]) -> None:
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(consents, indent=2) + "\n", encoding="utf-8")
        os.chmod(temporary, 0o600)
