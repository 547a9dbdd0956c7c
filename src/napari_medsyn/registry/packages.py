"""Model packages on disk, and whether they can be trusted.

A package is a folder: `card.json`, one `.safetensors` file, and what else its
card lists.  `verify` reads bytes only: it imports no torch, loads no weights and runs
nothing.  A package may bring code only in its folder `code`, which only a process of
its own ever runs, after the user's consent.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shlex
import stat
from pathlib import Path
from typing import Any, Final

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.card import CARD_NAME, ModelCard, PackageFile, read_card

#: Kinds of file that a package may list; everything else is refused.
ALLOWED_SUFFIXES: Final = (".safetensors", ".json", ".png", ".npy", ".nii.gz", ".md", ".txt")

#: Folder of a package in which any kind of file may lie, since nothing here reads it.
CODE: Final = "code/"

#: The header of a real weight file is some hundred kB; a huge one is an attack on memory.
MAX_HEADER_BYTES: Final = 16 * 2**20

#: Bytes of one number of each type that safetensors knows.
_NUMBER_BYTES: Final = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
    "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4,
    "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip


def verify(folder: Path, *, full: bool = True) -> ModelCard:
    """Check a package and give its card.

    Parameters
    ----------
    folder : the package.
    full : also compare every file's SHA-256; without it, sizes and the header of the
        weights only, which is fast enough for a list of models.

    Raises
    ------
    UnusableModel : the first thing that is wrong, in one sentence.
    """
    if not folder.is_dir():
        raise UnusableModel(f"{folder}: is not a folder, so not a model package")
    _check_plain(folder, CARD_NAME)
    card = read_card(folder)
    for file in card.files:
        _check_file(folder, file)
        if full and sha256_of(folder / file.name) != file.sha256:
            raise UnusableModel(
                f"{folder / file.name}: its SHA-256 is not the one on the card; the file was "
                "changed or damaged; get the package again or, if the change is yours, run "
                f"`{seal_command(folder)}`"
            )
    if card.execution == "native":
        check_safetensors(folder / card.weights.name)
    return card


def seal_command(folder: Path) -> str:
    """What to type so that the card follows files of a package that one has changed."""
    return f"medsyn models seal {shlex.quote(str(folder))}"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_safetensors(path: Path) -> int:
    """Check the header of a weight file without loading it; give the number of tensors.

    Every tensor's bytes must lie within the file, fit its type and shape, and follow
    the previous tensor's without gap or overlap, so that nothing is hidden in the file.

    Raises
    ------
    UnusableModel : the file is not safetensors, or its header lies.
    """
    try:
        header, data_bytes = _read_header(path)
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        spans = sorted(_span(entry) for entry in tensors)
    except OSError as error:
        raise UnusableModel(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UnusableModel(f"{path}: is not a safetensors file ({error})") from error
    if not spans:
        raise UnusableModel(f"{path}: holds no tensor")
    position = 0
    for begin, end in spans:
        if begin != position or end > data_bytes:
            raise UnusableModel(f"{path}: tensors overlap, leave gaps or lie beyond the file")
        position = end
    if position != data_bytes:
        raise UnusableModel(f"{path}: {data_bytes - position} bytes belong to no tensor")
    return len(spans)


def _check_file(folder: Path, file: PackageFile) -> None:
    if not (file.name.startswith(CODE) or file.name.endswith(ALLOWED_SUFFIXES)):
        raise UnusableModel(
            f"{folder / file.name}: packages hold {', '.join(ALLOWED_SUFFIXES)} files only"
        )
    size = _check_plain(folder, file.name)
    if size != file.bytes:
        raise UnusableModel(
            f"{folder / file.name}: has {size} bytes where the card says {file.bytes}; get the "
            f"package again or, if the change is yours, run `{seal_command(folder)}`"
        )


def _check_plain(folder: Path, name: str) -> int:
    """Refuse what is not an ordinary file in `folder`, links on the way included; its bytes."""
    steps = name.split("/")
    if any(step in {"", ".", ".."} or step != os.path.basename(step) for step in steps):
        raise UnusableModel(f"{folder}: file name {name!r} leads out of the package")
    path = folder
    for step in steps[:-1]:
        path = path / step
        if path.is_symlink():
            raise UnusableModel(f"{path}: is a link, which packages must not have")
    path = path / steps[-1]
    try:
        facts = path.lstat()
    except OSError as error:
        raise UnusableModel(f"{path}: is missing ({error.strerror})") from error
    if not stat.S_ISREG(facts.st_mode):
        raise UnusableModel(
            f"{path}: is a link or not an ordinary file, which packages must not have"
        )
    return facts.st_size


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header's JSON and the number of bytes after it."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            raise ValueError(f"a header of {length} bytes in a file of {size}")
        text = stream.read(length).decode("utf-8")
    if not text.startswith("{"):
        raise ValueError("its header is not a JSON object")
    return json.loads(text, object_pairs_hook=_without_repeats), size - 8 - length


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("its header names a tensor twice")
    return table


def _span(entry: Any) -> tuple[int, int]:
    """Where a tensor's bytes begin and end; refuses an entry that contradicts itself."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError("a tensor without dtype, shape and data_offsets")
    number_bytes = _NUMBER_BYTES.get(str(entry["dtype"]))
    shape, offsets = entry["shape"], entry["data_offsets"]
    whole = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    if number_bytes is None or not whole:
        raise ValueError(f"a tensor of type {entry['dtype']!r} and shape {shape!r}")
    if any(type(number) is not int or number < 0 for number in (*shape, *offsets)):
        raise ValueError("a tensor whose shape or offsets are not counts")
    begin, end = offsets
    if end - begin != number_bytes * math.prod(shape):
        raise ValueError("a tensor whose bytes do not fit its shape")
    return begin, end
