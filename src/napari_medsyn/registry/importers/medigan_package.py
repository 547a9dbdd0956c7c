"""A downloaded medigan package, a folder or a zip of it, as the files of one of ours.

Its files are copied and hashed.  Nothing of it is read further, let alone run.
"""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from napari_medsyn.errors import UnusableFile, UnusableModel

#: More files, or more bytes, than any package of medigan's has.
MAX_FILES: Final = 2000
MAX_BYTES: Final = 16 * 2**30
#: Nothing real shrinks more than this; small files may.
MAX_RATIO: Final = 200
_FREE_RATIO_BYTES: Final = 2**20
MAX_DIRECTORY_BYTES: Final = 16 * 2**20

#: As `registry.parts.FileName` has it, below `code/`.
_NAME: Final = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){0,5}"
)
_LEFT_OUT: Final = ("__MACOSX", "__pycache__", ".git")
_CHUNK: Final = 2**20


class Download:
    """A package as it was downloaded.

    Parameters
    ----------
    path : a folder, or a zip; named after the package, as medigan has it.

    Raises
    ------
    UnusableFile : it is neither.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir() and not zipfile.is_zipfile(path):
            raise UnusableFile(path, "is neither a folder nor a zip; give the package as it came")
        self.path = path
        name = path.name if path.is_dir() else path.stem
        # A browser names the second download of a file "name (1)".
        self.name = re.sub(r" ?\(\d+\)$", "", name)

    def belongs_to(self, medigan_id: str, package_name: str) -> bool:
        """Whether it is the package of an entry, by its name or the folder within."""
        wanted = {medigan_id.casefold(), package_name.casefold()}
        return self.name.casefold() in wanted

    def copy(self, folder: Path, notes: list[str]) -> dict[str, Path]:
        """Copy its files into `folder`; give them by their names within the package.

        Raises
        ------
        UnusableFile : it holds what no package does: links, names that lead elsewhere, a
            bomb.
        """
        found = dict(self._from_folder() if self.path.is_dir() else self._from_zip(folder, notes))
        return {name: path for name, path in found.items() if _is_wanted(name, notes)}

    def _from_folder(self) -> Iterator[tuple[str, Path]]:
        total = 0
        for count, path in enumerate(sorted(self.path.rglob("*"))):
            if path.is_symlink():
                raise UnusableFile(path, "is a link, which packages must not have")
            if path.is_dir():
                continue
            total += path.stat().st_size
            if count >= MAX_FILES or total > MAX_BYTES:
                raise UnusableFile(self.path, "holds more than a package does; give its folder")
            yield path.relative_to(self.path).as_posix(), path

    def _from_zip(self, folder: Path, notes: list[str]) -> Iterator[tuple[str, Path]]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                entries = [entry for entry in archive.infolist() if not entry.is_dir()]
                self._check(entries)
                for entry in entries:
                    if _is_wanted(entry.filename, []):
                        target = folder / entry.filename
                        target.parent.mkdir(parents=True, exist_ok=True)
                        _unpack(archive, entry, target)
                        yield entry.filename, target
                    else:
                        _is_wanted(entry.filename, notes)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise UnusableFile(self.path, f"cannot be unpacked ({error})") from error

    def _check(self, entries: list[zipfile.ZipInfo]) -> None:
        """Refuse a zip before a byte of it is unpacked."""
        if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise UnusableFile(self.path, "holds more than a package does")
        names = [entry.filename.casefold() for entry in entries]
        if len(set(names)) < len(names):
            raise UnusableFile(self.path, "holds a file of the same name twice")
        for entry in entries:
            steps = PurePosixPath(entry.orig_filename.replace("\\", "/"))
            if steps.is_absolute() or ".." in steps.parts or ":" in entry.orig_filename:
                raise UnusableFile(
                    self.path, f"holds {entry.orig_filename!r}, which leads out of the package"
                )
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
                raise UnusableFile(
                    self.path, f"holds {entry.filename!r}, a link or not an ordinary file"
                )
            if entry.file_size > max(_FREE_RATIO_BYTES, MAX_RATIO * entry.compress_size):
                raise UnusableFile(
                    self.path, f"holds {entry.filename!r}, which unpacks to far more than it is"
                )


def package_fields(
    fields: Mapping[str, Any], medigan_id: str, files: Mapping[str, Path], source: Path
) -> tuple[dict[str, Any], dict[str, bytes | Path]]:
    """Card and files of an entry whose package is here.

    Parameters
    ----------
    fields : of the card that is listed only.
    medigan_id : of the entry; where medigan would have unpacked the package.
    files : name within the download to file.
    source : the download, for errors.

    Returns
    -------
    Fields of a card that runs after consent, and the files by their names in the package.

    Raises
    ------
    UnusableModel : the weights or the code that the entry names are not in it.
    """
    listed = dict(fields["architecture"])
    package = listed.pop("package")
    weights = _place_of(PurePosixPath(listed["weights"]).name, files, package)
    if weights is None:
        raise UnusableModel(f"{source}: the weights {listed['weights'][5:]!r} are not in it")
    module = next((m for m in (f"{package}/", "") if f"{m}__init__.py" in files), None)
    if module is None:
        raise UnusableModel(f"{source}: holds no __init__.py, so no package of Python")
    place = f"models/{medigan_id}"
    dotted = place.replace("/", ".") + ("." + module.rstrip("/") if module else "")
    architecture = {**listed, "weights": f"code/{weights}", "at": place, "module": dotted}
    requires = {**fields["requires"], "note": ""}
    content: dict[str, bytes | Path] = {
        f"code/{name}": path for name, path in sorted(files.items())
    }
    card = {**fields, "execution": "isolated", "requires": requires, "architecture": architecture}
    return card, content


def _place_of(name: str, files: Mapping[str, Path], package: str) -> str | None:
    """Where a file is: in medigan's two places, or anywhere if there is just one."""
    for place in (f"{package}/{name}", name):
        if place in files:
            return place
    found = [path for path in files if PurePosixPath(path).name == name]
    return found[0] if len(found) == 1 else None


def _is_wanted(name: str, notes: list[str]) -> bool:
    parts = PurePosixPath(name).parts
    if parts[-1].startswith(".") or any(part in _LEFT_OUT for part in parts):
        return False
    if not _NAME.fullmatch(name):
        notes.append(f"its file {name!r} has a name that packages cannot have; left out")
        return False
    return True


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Unpack one file, never more of it than the directory declares."""
    with archive.open(entry) as source, target.open("xb") as sink:
        shutil.copyfileobj(source, sink, _CHUNK)
    if target.stat().st_size != entry.file_size:
        raise zipfile.BadZipFile(f"{entry.filename} has not the size it says")
