"""Which models there are: those that ship with us and those the user has added."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.registry.card import Kind
from napari_medsyn.registry.entries import Entry, Facts, Origin
from napari_medsyn.registry.indexing import Index
from napari_medsyn.registry.suggesting import did_you_mean, some_of

__all__ = ["Catalogue", "Entry", "Facts", "Origin", "embedded_folder", "user_folder"]


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
        self._indexes: dict[Path, Index] = {}

    def entries(self) -> tuple[Entry, ...]:
        """Every package as it is on disk now, broken ones with the reason.

        What has not changed since the last listing, by this process or an earlier one, is
        not checked again.
        """
        first: dict[str, Path] = {}
        entries = []
        for folder, origin in self._places():
            for entry in self._index(folder).entries(_subfolders(folder), origin):
                if entry.is_usable and entry.id in first:
                    reason = (
                        f"{entry.package}: {first[entry.id]} has the same id {entry.id!r} and is "
                        "used instead"
                    )
                    entry = Entry(entry.id, entry.package, origin, reason=reason)
                elif entry.is_usable:
                    first[entry.id] = entry.package
                entries.append(entry)
        return tuple(entries)

    def generators(self) -> tuple[Entry, ...]:
        """Every package that makes images, and the broken ones: nobody knows what they do."""
        return tuple(entry for entry in self.entries() if not entry.is_judge)

    def judges(self) -> tuple[Entry, ...]:
        """Every usable package that measures images."""
        return tuple(entry for entry in self.entries() if entry.is_judge)

    def get(self, model_id: str, kind: Kind | None = None) -> Entry:
        """The usable package of that id.

        Parameters
        ----------
        model_id : of the card.
        kind : refuse a package of the other kind; both will do if not given.

        Raises
        ------
        UnusableModel : there is none, or only a broken one, or it is of the other kind;
            says which there are, at most a few, and which are near.
        """
        entries = self.entries()
        for entry in entries:
            if entry.id == model_id and entry.is_usable:
                if kind not in (None, entry.kind):
                    raise UnusableModel(f"{model_id} is a {entry.kind}, not a {kind}")
                return entry
        for entry in entries:
            if entry.id == model_id:
                raise UnusableModel(entry.reason)
        wanted = [e.id for e in entries if e.is_usable and kind in (None, e.kind)]
        raise UnusableModel(
            f"there is no model {model_id!r}{did_you_mean(model_id, wanted)}; known models: "
            f"{some_of(wanted, rest='see medsyn models list')}"
        )

    def default(self) -> Entry:
        """The model to begin with: the first usable generator."""
        for entry in self.generators():
            if entry.can_run:
                return entry
        raise UnusableModel("no model is installed; add a package to " + str(user_folder()))

    def _index(self, folder: Path) -> Index:
        return self._indexes.setdefault(folder, Index(folder))

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
        with os.scandir(folder) as items:
            names = [item.name for item in items if item.name[0] != "." and item.is_dir()]
    except OSError:
        # No such folder, or one that may not be read: it offers no models.
        return []
    return [folder / name for name in sorted(names)]
