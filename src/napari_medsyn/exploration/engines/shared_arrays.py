"""Memory that two processes see, for arrays too large to send.

Files mapped into memory, in the memory file system where there is one.  Not
`multiprocessing.shared_memory`, for two reasons.  Until Python 3.13 its resource tracker
unlinks a segment when *any* process that attached it ends.  And it knows one place only:
in a container whose /dev/shm has 64 MB, the first page beyond them ends the process with
SIGBUS.  Here room is looked for first, and there is a second place.

The parent makes every file.  Its name is needed only until the other side has it open,
so that side takes the name away; a crash then leaves nothing behind.
"""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import EngineError

#: Where files are kept in memory (Linux); elsewhere a temporary file is mapped.
_MEMORY_FOLDER: Final = Path("/dev/shm")  # noqa: S108 - a fresh name, readable by the user only


class SharedBuffer:
    """Bytes that this process and its child see.

    Parameters
    ----------
    memory : the mapped file; arrays made of it keep it alive.
    path : its name, for the other side to attach it by; it may be gone by then.
    """

    def __init__(self, memory: mmap.mmap, path: Path) -> None:
        self._memory = memory
        self.path = path

    @classmethod
    def create(cls, size: int) -> Self:
        """Make a buffer of `size` zero bytes, which take memory only once written to.

        Raises
        ------
        EngineError : there is no room for it anywhere.
        """
        for folder in (_MEMORY_FOLDER, Path(tempfile.gettempdir())):
            # Twice the size: pages are taken when they are written, by others too.
            if folder.is_dir() and shutil.disk_usage(folder).free > 2 * size:
                with suppress(PermissionError):
                    return cls._create_in(folder, size)
        raise EngineError(
            f"there is no room for {size / 1e6:.0f} MB of shared memory; free some space in "
            f"{tempfile.gettempdir()} or set TMPDIR to a folder with more"
        )

    @classmethod
    def _create_in(cls, folder: Path, size: int) -> Self:
        descriptor, name = tempfile.mkstemp(prefix="medsyn-", dir=folder)
        try:
            os.truncate(descriptor, max(size, 1))
            memory = mmap.mmap(descriptor, max(size, 1))
        finally:
            os.close(descriptor)
        buffer = cls(memory, Path(name))
        # For the case that the other side never attaches it.
        weakref.finalize(memory, _unlink, name)
        return buffer

    @classmethod
    def attach(cls, path: Path) -> Self:
        """Open the buffer that the parent made under `path`, and take its name away."""
        with path.open("r+b") as file:
            memory = mmap.mmap(file.fileno(), 0)
        _unlink(str(path))
        return cls(memory, path)

    def array(self, shape: tuple[int, ...], dtype: Any, offset: int = 0) -> NDArray[Any]:
        """An array on `shape` numbers of the buffer from byte `offset` on."""
        count = math.prod(shape)
        return np.frombuffer(self._memory, np.dtype(dtype), count, offset).reshape(shape)


def output_bytes(names: tuple[str, ...], shape: tuple[int, int, int]) -> int:
    """Size of a buffer for `output_arrays`."""
    return 4 * len(names) * math.prod(shape)


def output_arrays(
    buffer: SharedBuffer, names: tuple[str, ...], shape: tuple[int, int, int], axis: int
) -> Mapping[str, NDArray[np.float32]]:
    """One float32 array of `shape` for each name, planes along `axis` contiguous.

    Both sides call this with the same arguments and so see the same arrays.
    """
    others = [n for a, n in enumerate(shape) if a != axis]
    step = 4 * math.prod(shape)
    return {
        name: np.moveaxis(buffer.array((shape[axis], *others), np.float32, i * step), 0, axis)
        for i, name in enumerate(names)
    }


def _unlink(name: str) -> None:
    # Windows keeps the name until both sides have closed the file.
    with suppress(FileNotFoundError, PermissionError):
        os.unlink(name)
