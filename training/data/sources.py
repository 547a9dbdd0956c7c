"""Where records come from: the shared folder as released, or one packed file.

A *record* is a set of named arrays in which nothing is normalised yet: one visit, or all
of the healthy people, label maps or lesion masks.  `training.data.released` says what is
in each and reads it from the folder; `training.data.packing` puts the same into one file,
with intensities rounded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile

Arrays = dict[str, NDArray[Any]]

#: Where what takes long to make is kept, unless another folder is named.
CACHE = Path(__file__).resolve().parents[2] / "runs" / "data"

#: The released files that training reads, below the shared data folder.
RELEASED = (
    "ms/*/*.nii.gz",
    "ms_visits/*/*.nii.gz",
    "glioma/case*/*.nii.gz",
    "healthy_t1/*.npz",
    "healthy_t1/*.csv",
    "label_maps/*.npz",
    "lesions/*.npz",
    "lesions/*.csv",
)


class Source(Protocol):
    """Records by name, from a folder or from one file."""

    path: Path

    def visits(self, person: str) -> tuple[str, ...]:
        """Names of the records of a person's visits ("visits/msv-01_visit1"), in order."""
        ...

    def record(self, name: str, keep: Collection[str] | None = None) -> Arrays:
        """The arrays of one record.

        Parameters
        ----------
        name : a visit's, "healthy", "label_maps" or "lesions".
        keep : of a record of many people these only, in the record's order; None for all.

        Raises
        ------
        UnusableFile
            A file of it is missing, damaged or of another shape.
        """
        ...

    def data_hash(self) -> str:
        """SHA-256 over the names and contents of the released files."""
        ...


def open_source(path: Path, cache: Path | None = None) -> Source:
    """The shared data folder, or the file that was packed from it.

    Parameters
    ----------
    path : folder or packed file.
    cache : folder for what takes long to make; `CACHE` where None.

    Raises
    ------
    UnusableFile
        There is nothing at `path`, or it is no file of `training.data.pack`.
    """
    if path.is_dir():
        from training.data.released import SharedFolder

        return SharedFolder(path, cache or CACHE)
    if path.is_file():
        from training.data.packing import PackedFile

        return PackedFile(path)
    raise UnusableFile(path, "there is nothing here; name the shared data folder or a packed file")


def data_hash(data: Path) -> str:
    """SHA-256 over names and contents of the released files; a packed file quotes it.

    Parameters
    ----------
    data : the shared data folder, or a packed file.
    """
    return open_source(data).data_hash()


def rows_kept(names: NDArray[np.str_], keep: Collection[str] | None) -> NDArray[np.intp]:
    """Rows of a record of many people that `Source.record` gives."""
    return np.array([n for n, name in enumerate(names) if keep is None or name in keep], np.intp)


def hash_of_files(folder: Path) -> str:
    """SHA-256 over names and contents of the files of `RELEASED` below `folder`."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in RELEASED for file in folder.glob(pattern)):
        digest.update(file.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
