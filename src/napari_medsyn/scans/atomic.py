"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_medsyn.errors import UnusableFile


@contextmanager
def whole_file(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; what is written there becomes `path` at the end.

    The temporary name has the same endings, since writers choose the format by them.
    When anything fails, nothing is left behind and an existing `path` is as it was.

    Raises
    ------
    UnusableFile : `path` exists and may not be replaced, or its folder cannot be written to.
    """
    if not path.parent.is_dir():
        raise UnusableFile(path, "cannot be written: its folder does not exist")
    if path.is_dir():
        raise UnusableFile(path, "cannot be written: a folder has this name")
    if path.exists() and not overwrite:
        raise _exists(path)
    endings = path.name[path.name.find(".", 1) :] if "." in path.name[1:] else ""
    temporary = path.with_name(f".medsyn-{uuid.uuid4().hex[:12]}{endings[-40:].lower()}")
    try:
        yield temporary
        _publish(temporary, path, overwrite)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnusableFile(path, f"cannot be written: {reason}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, path)
        return
    try:
        # Unlike a rename, a link fails if somebody made `path` in the meantime.
        os.link(temporary, path)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError:  # a file system without hard links
        os.replace(temporary, path)


def _exists(path: Path) -> UnusableFile:
    return UnusableFile(path, "exists already; choose another name or allow it to be replaced")
