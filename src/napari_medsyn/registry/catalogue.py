"""Which models there are: those that ship with us and those the user has added."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.registry.card import Kind, ModelCard
from napari_medsyn.registry.packages import verify

Origin = Literal["embedded", "user"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One package of the catalogue.

    Parameters
    ----------
    id : the card's id, or the folder's name where the card does not say.
    package : the folder.
    origin : whether it ships with us or lies in the user's data folder.
    card : None if the package is broken.
    reason : why it is broken; empty if it is not.
    """

    id: str
    package: Path
    origin: Origin
    card: ModelCard | None = None
    reason: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether the package is whole; it may still be one that is only listed."""
        return self.card is not None

    @property
    def can_run(self) -> bool:
        """Whether the model may be chosen."""
        return self.card is not None and self.card.execution != "none"

    @property
    def why_not(self) -> str:
        """Why it cannot be chosen; empty if it can."""
        return self.reason if self.card is None else self.card.why_not_run

    def as_dict(self) -> dict[str, Any]:
        """The entry in short, as JSON values."""
        card = self.card
        return {
            "id": self.id,
            "kind": card.kind if card else None,
            "folder": str(self.package),
            "origin": self.origin,
            "usable": self.is_usable,
            "reason": self.reason,
            "version": card.version if card else None,
            "name": card.name if card else None,
            "inputs": list(card.inputs) if card else [],
            "outputs": list(card.outputs) if card else [],
            "readings": [reading.name for reading in card.readings] if card else [],
        }


def user_folder() -> Path:
    """Where a user puts packages: `$MEDSYN_HOME/models`, or the platform's data folder."""
    home = os.environ.get("MEDSYN_HOME")
    if home:
        return Path(home).expanduser() / "models"
    from platformdirs import user_data_path

    return user_data_path("napari-medsyn", appauthor=False) / "models"


def embedded_folder() -> Path:
    """Where the packages that ship with us lie."""
    from napari_medsyn import resources

    return resources.folder() / "models"


class Catalogue:
    """The packages in some folders, each a subfolder with a card.

    Listing checks cards, sizes and weight headers; hashes are compared by
    `packages.verify` before anything is loaded.

    Parameters
    ----------
    folders : (folder, origin) pairs in order of precedence; by default the embedded
        packages, then the user's.
    """

    def __init__(self, folders: Sequence[tuple[Path, Origin]] | None = None) -> None:
        self._folders = folders

    def entries(self) -> tuple[Entry, ...]:
        """Every package as it is on disk now, broken ones with the reason."""
        found: dict[str, Entry] = {}
        entries = []
        for folder, origin in self._places():
            for package in _subfolders(folder):
                entry = _entry(package, origin)
                if entry.card is not None and entry.id in found:
                    first = found[entry.id].package
                    reason = f"{package}: {first} has the same id {entry.id!r} and is used instead"
                    entry = Entry(entry.id, package, origin, None, reason)
                elif entry.card is not None:
                    found[entry.id] = entry
                entries.append(entry)
        return tuple(entries)

    def generators(self) -> tuple[Entry, ...]:
        """Every package that makes images, and the broken ones: nobody knows what they do."""
        return tuple(e for e in self.entries() if e.card is None or not e.card.is_judge)

    def judges(self) -> tuple[Entry, ...]:
        """Every usable package that measures images."""
        return tuple(e for e in self.entries() if e.card is not None and e.card.is_judge)

    def get(self, model_id: str, kind: Kind | None = None) -> Entry:
        """The usable package of that id.

        Parameters
        ----------
        model_id : of the card.
        kind : refuse a package of the other kind; both will do if not given.

        Raises
        ------
        UnusableModel : there is none, or only a broken one, or it is of the other kind;
            says which there are.
        """
        entries = self.entries()
        for entry in entries:
            if entry.id == model_id and entry.card is not None:
                if kind is not None and entry.card.kind != kind:
                    raise UnusableModel(f"{model_id} is a {entry.card.kind}, not a {kind}")
                return entry
        for entry in entries:
            if entry.id == model_id:
                raise UnusableModel(entry.reason)
        wanted = (e.id for e in entries if e.card is not None and kind in (None, e.card.kind))
        known = ", ".join(wanted) or "none"
        raise UnusableModel(f"there is no model {model_id!r}; known models: {known}")

    def default(self) -> Entry:
        """The model to begin with: the first usable generator."""
        for entry in self.generators():
            if entry.can_run:
                return entry
        raise UnusableModel("no model is installed; add a package to " + str(user_folder()))

    def _places(self) -> Sequence[tuple[Path, Origin]]:
        if self._folders is not None:
            return self._folders
        try:
            return ((embedded_folder(), "embedded"), (user_folder(), "user"))
        except UnusableFile:
            # An installation without resources still runs what the user has added.
            return ((user_folder(), "user"),)


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    except OSError:
        # No such folder, or one that may not be read: it offers no models.
        return []


def _entry(package: Path, origin: Origin) -> Entry:
    try:
        card = verify(package, full=False)
    except UnusableModel as error:
        return Entry(package.name, package, origin, None, str(error))
    return Entry(card.id, package, origin, card)
