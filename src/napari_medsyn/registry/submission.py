"""A submission: a tested package with all that a maintainer needs to decide about it.

Nothing is uploaded.  Nothing in it says on which computer, in which folder or under which
user name it was made, beyond what the author wrote on the card.
"""

from __future__ import annotations

import json
import os
import platform
import re
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.registry.archives import pack
from napari_medsyn.registry.building import refuse_occupied
from napari_medsyn.registry.card import CARD_NAME, ModelCard
from napari_medsyn.registry.packages import sha256_of, verify
from napari_medsyn.registry.templating import unfilled

#: Form of `submission.json`.
SCHEMA_VERSION: Final = 1

JSON_NAME, TEXT_NAME = "submission.json", "SUBMISSION.md"

#: What computes, and so may change a result.
_LIBRARIES: Final = ("napari-medsyn", "torch", "numpy", "safetensors", "monai")

#: A path that begins in somebody's home or is absolute on Windows, up to a blank or quote.
_LOCAL_PATH: Final = re.compile(
    r"(?:file://\S+|(?<![\w/.])/(?:home|Users|root|tmp|mnt|media|private|var|work|data|scratch|srv|nfs|opt)/[^\s\"'`;,)]+"
    r"|(?<!\w)[A-Za-z]:\\[^\s\"'`;,)]+|~/[^\s\"'`;,)]+)"
)


def check_ready(package: Path) -> ModelCard:
    """Refuse a package that its author has not finished; give its card.

    Raises
    ------
    UnusableModel : the package is damaged, a field is still to be filled in, or the card
        holds a path of somebody's computer.
    """
    card = verify(package)
    fields = card.model_dump(mode="json")
    empty = list(unfilled(fields))
    if empty:
        raise UnusableModel(
            f"{package / CARD_NAME}: still to be filled in: {', '.join(empty)}; then "
            "`medsyn models seal` and try again"
        )
    for place, text in _texts(fields):
        found = _LOCAL_PATH.search(text)
        if found:
            raise UnusableModel(
                f"{package / CARD_NAME}: {place} holds the local path {found.group()}; take it "
                "out, since it tells others about your computer and means nothing to them"
            )
    return card


def write_submission(out: Path, package: Path, report: Mapping[str, Any]) -> Path:
    """Pack a package and describe it, in a new folder, whole or not at all.

    Parameters
    ----------
    out : the folder; it must not exist, or be empty.
    package : the folder of the package; see `check_ready`.
    report : of its test, as `evaluation.checks.Report.as_dict` gives it.

    Returns
    -------
    The archive.

    Raises
    ------
    UnusableModel : the package is not ready, or a check of `report` failed.
    UnusableFile : `out` holds something, or cannot be written to.
    """
    card = check_ready(package)
    if not report["ok"]:
        raise UnusableModel(f"{package}: does not pass its test; see `medsyn models test`")
    refuse_occupied(out)
    name = f"{card.id}-{card.version}.zip"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".medsyn-", dir=out.parent) as draft:
            folder = Path(draft) / "submission"
            folder.mkdir()
            pack(package, folder / name)
            facts = _facts(card, package, folder / name, report)
            text = json.dumps(facts, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
            (folder / JSON_NAME).write_text(text, encoding="utf-8")
            (folder / TEXT_NAME).write_text(_describe(card, facts), encoding="utf-8")
            if out.is_dir():
                out.rmdir()
            os.replace(folder, out)
    except OSError as error:
        raise UnusableFile(out, f"cannot be written to ({error.strerror})") from error
    return out / name


def versions() -> dict[str, str]:
    """What the test ran on: kind of system, Python, libraries; no name of a computer."""
    found = {"system": platform.system(), "machine": platform.machine()}
    found["python"] = platform.python_version()
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            # An extra that is not installed has computed nothing.
            continue
    return found


def scrubbed(value: Any, package: Path) -> Any:
    """JSON values without local paths: the package's folder by its name, others by "…"."""
    if isinstance(value, Mapping):
        return {key: scrubbed(item, package) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(item, package) for item in value]
    if not isinstance(value, str):
        return value
    for folder in (str(package.resolve()), str(package)):
        if os.sep in folder:
            value = value.replace(folder, "<package>")
    return _LOCAL_PATH.sub("…", value)


def _facts(
    card: ModelCard, package: Path, archive: Path, report: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "archive": {
            "name": archive.name,
            "bytes": archive.stat().st_size,
            "sha256": sha256_of(archive),
        },
        "card": card.model_dump(mode="json", exclude_defaults=True),
        "test": scrubbed(report, package),
        "versions": versions(),
    }


def _texts(value: Any, place: str = "") -> list[tuple[str, str]]:
    """Every text among JSON values with its place."""
    if isinstance(value, Mapping):
        pairs = [(f"{place}.{key}" if place else str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        pairs = [(f"{place}[{number}]", item) for number, item in enumerate(value)]
    else:
        return [(place, value)] if isinstance(value, str) else []
    return [found for where, item in pairs for found in _texts(item, where)]


def _describe(card: ModelCard, facts: Mapping[str, Any]) -> str:
    """The submission for people, as Markdown."""
    archive, test = facts["archive"], facts["test"]
    data = [f"- {item.name}, {item.licence}{_told(item.citation)}" for item in card.training_data]
    rows = [
        f"| {_cell(check['name'])} | {check['verdict']} | {_cell(check['sentence'])} |"
        for check in test["checks"]
    ]
    digest = f"`{archive['sha256']}`"
    software = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    sections = {
        "Archive": [f"`{archive['name']}`, {archive['bytes']} bytes, SHA-256", "", digest],
        "Intended use": [card.intended_use],
        "Limitations": [f"- {limitation}" for limitation in card.limitations],
        "Licence of the weights": [card.licence],
        "Training data": data,
        "Authors and citation": [", ".join(card.authors), "", card.citation or "None given."],
        "Test": ["| check | verdict | |", "|---|---|---|", *rows, "", f"With {software}."],
        "For the maintainer": [f"- [ ] {item}" for item in _checklist(card)],
    }
    lines = [f"# {card.name} ({card.id} {card.version})", "", card.summary]
    for title, content in sections.items():
        lines += ["", f"## {title}", "", *content]
    return "\n".join(lines) + "\n"


def _checklist(card: ModelCard) -> list[str]:
    """What a person has to look at, because no test can."""
    items = [
        "The archive's SHA-256 is the one above.",
        "`medsyn models test` passes here, on another computer than the author's.",
        "The licences of the training data allow these weights under their licence.",
        "Intended use and limitations say what a clinician has to know.",
        "Nobody can be recognised in what it makes.",
        "The controls do what their labels say.",
    ]
    if card.execution == "isolated":
        items.append("The code was read; it does nothing but what the card says.")
    if card.golden is None:
        items.append("There is no golden output: ask for one.")
    if not any(file.name == "preview.png" for file in card.files):
        items.append("There is no `preview.png`: ask for one.")
    if not card.metrics:
        items.append("No metric is given: ask how its quality was judged.")
    return items


def _told(citation: str) -> str:
    return f": {citation}" if citation else ""


def _cell(text: str) -> str:
    """A text that stays within its cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
