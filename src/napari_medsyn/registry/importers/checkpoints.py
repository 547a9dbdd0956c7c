"""Checkpoints of torch, read as data with numpy alone: nothing in them is run.

Three containers are read: the zip archive that `torch.save` writes since torch 1.6
(`data.pkl`, and each storage as a member `data/<key>`); what it wrote before (five pickles
in a row, then the storages); and a plain pickle, whose tensors hold such a file each.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from napari_medsyn.registry.importers.checkpoints_storages import (
    ByteOrder,
    StorageId,
    storage_values,
)
from napari_medsyn.registry.importers.checkpoints_values import understand
from napari_medsyn.registry.importers.pickled import read_pickle
from napari_medsyn.registry.importers.pickled_nodes import (
    Limits,
    Pickle,
    StrangePickle,
    Stream,
)

#: Larger files are no models that this program could run; a plain pickle is held in memory.
MAX_BYTES: Final = 16 * 2**30
#: The pickle of an archive names tensors and holds none: 300 bytes or so for each.
MAX_ARCHIVED_PICKLE: Final = 256 * 2**20
#: Instructions for one storage by itself; it takes some 40.
_NESTED: Final = Limits(opcodes=1000, stack=100)
#: How a file written by `torch.save` before 1.6 begins, and its version.
_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001


def read_checkpoint(path: Path, *, may_stay: Collection[str] = ()) -> Any:
    """What a checkpoint holds, with numpy arrays (read-only views) in place of tensors.

    bfloat16 becomes float32, sets and the like become lists, `torch.device` its name.

    Parameters
    ----------
    path : a `.pt`, `.pth`, `.ckpt`, `.pkl`, ….
    may_stay : names such as "torch.nn.modules.linear.Linear" whose calls stay as inert
        `pickled.Call` nodes; one that ends in "." stands for all below it.

    Raises
    ------
    UnusableFile : it is no checkpoint, is damaged, contradicts itself, claims more than
        it holds, or calls anything that is not known to be data.
    """
    with _reasons(path):
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise StrangePickle(f"it is larger than {MAX_BYTES >> 30} GiB")
        with path.open("rb") as file:
            start = file.read(4)
            if start == b"PK\x03\x04":
                with zipfile.ZipFile(file) as archive:
                    return _Archive(archive, size).tree(may_stay)
            if start[:1] not in (b"\x80", b"(", b"}", b"]", b"c"):
                raise StrangePickle(
                    "it is neither an archive of torch nor a pickle; download it again"
                )
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                return _read_stream(mapped, may_stay)


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Everything that reading a hostile file may raise, as one sentence about `path`."""
    try:
        yield
    except StrangePickle as error:
        raise UnusableFile(path, f"cannot be imported: {error}") from error
    except OSError as error:
        raise UnusableFile(path, f"cannot be read ({error.strerror or error})") from error
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        OverflowError,
        ValueError,
        struct.error,
    ) as error:
        raise UnusableFile(path, f"cannot be imported: its archive is damaged ({error})") from error


class _Archive:
    """The zip archive: `<name>/data.pkl`, `<name>/byteorder`, `<name>/data/<key>`."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        members = archive.infolist()
        names = {member.filename for member in members}
        if len(names) != len(members):
            raise StrangePickle("its archive has two members of one name")
        if any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & 1 for m in members):
            raise StrangePickle("its archive is compressed or encrypted, which torch never does")
        if sum(member.file_size for member in members) > size:
            raise StrangePickle("its archive claims more bytes than the file has")
        pickles = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise StrangePickle(f"its archive has {len(pickles)} members data.pkl instead of one")
        self._prefix = pickles[0].removesuffix("data.pkl")
        if f"{self._prefix}constants.pkl" in names:
            raise StrangePickle(
                "it is a TorchScript program, which is code; export the state dict instead"
            )
        self._order: ByteOrder = "little"
        if f"{self._prefix}byteorder" in names and self._bytes("byteorder", 16) == b"big":
            self._order = "big"
        self._size = size

    def tree(self, may_stay: Collection[str]) -> Any:
        """The content of data.pkl."""
        content = self._bytes("data.pkl", MAX_ARCHIVED_PICKLE)
        opened = _Storages(self._content, self._order, self._size)
        pickle = read_pickle(io.BytesIO(content))
        return understand(pickle, opened, _nested_storage, len(content), may_stay)

    def _content(self, wanted: StorageId) -> bytes:
        return self._bytes(f"data/{wanted.key}", wanted.bytes)

    def _bytes(self, name: str, at_most: int) -> bytes:
        try:
            member = self._archive.getinfo(self._prefix + name)
        except KeyError as error:
            raise StrangePickle(f"its archive has no member {name!r}") from error
        if member.file_size > at_most:
            raise StrangePickle(
                f"its member {name!r} has {member.file_size} bytes where at most {at_most} are "
                "expected"
            )
        return self._archive.read(member)


class _Storages:
    """Persistent id to the numbers of a storage, each read once.

    Parameters
    ----------
    content : gives the bytes of one.
    order : of the bytes of a number.
    size : bytes of the whole file; what is read may be four times as much, since
        half precision doubles and parts of a storage may overlap.
    """

    def __init__(self, content: Callable[[StorageId], bytes], order: ByteOrder, size: int) -> None:
        self._content = content
        self._order = order
        self._left = 4 * size
        self._opened: dict[StorageId, NDArray[Any]] = {}

    def __call__(self, persistent_id: Any) -> NDArray[Any]:
        wanted = StorageId.of(persistent_id)
        if wanted not in self._opened:
            values = storage_values(wanted, self._content(wanted), self._order)
            self._left -= values.nbytes
            if self._left < 0:
                raise StrangePickle("it reads its storages again and again")
            self._opened[wanted] = values
        return self._opened[wanted]


def _read_stream(stream: Stream, may_stay: Collection[str]) -> Any:
    """A plain pickle, or what `torch.save` wrote before it wrote archives."""
    first = read_pickle(stream)
    if first.value != _MAGIC:
        return understand(first, _nowhere, _nested_storage, stream.tell(), may_stay)
    return _read_legacy(stream, Limits(), may_stay)


def _nested_storage(content: bytes) -> NDArray[Any]:
    """A storage that was saved by itself within a pickle."""
    stream = io.BytesIO(content)
    if read_pickle(stream, _NESTED).value != _MAGIC:
        raise StrangePickle("a storage in it is not in the format of torch")
    values = _read_legacy(stream, _NESTED, ())
    if not isinstance(values, np.ndarray):
        raise StrangePickle("a storage in it is something else")
    return values


def _read_legacy(stream: Stream, limits: Limits, may_stay: Collection[str]) -> Any:
    """What follows the magic number: version, system, content, keys, and the storages."""
    if read_pickle(stream, limits).value != _PROTOCOL:
        raise StrangePickle("it is of an unknown version of torch.save")
    system = read_pickle(stream, limits).value
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise StrangePickle("it does not come from a little-endian computer")
    content = read_pickle(stream, limits)
    keys = read_pickle(stream, limits).value
    size = stream.tell()
    table = _storages(stream, content, keys)
    opened = _Storages(lambda wanted: table[wanted.key], "little", stream.tell())
    return understand(content, opened, _refuse_nested, size, may_stay)


def _storages(stream: Stream, content: Pickle, keys: Any) -> dict[str, bytes]:
    """Key to bytes: for each key the count of its numbers, 8 bytes, and the numbers."""
    wanted = {found.key: found for found in (StorageId.of(n.id) for n in content.persistent)}
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise StrangePickle("its list of storages is damaged")
    if len(keys) != len(wanted) or set(keys) != set(wanted):
        raise StrangePickle("its list of storages is not that of its tensors")
    table = {}
    for key in keys:
        count = stream.read(8)
        if len(count) != 8 or int.from_bytes(count, "little") != wanted[key].count:
            raise StrangePickle(f"storage {key!r} has another size than its tensors say")
        table[key] = stream.read(wanted[key].bytes)
    return table


def _nowhere(persistent_id: Any) -> NDArray[Any]:
    del persistent_id
    raise StrangePickle("it refers to something outside of itself")


def _refuse_nested(content: Any) -> NDArray[Any]:
    del content
    raise StrangePickle("it has checkpoints within checkpoints within checkpoints")
