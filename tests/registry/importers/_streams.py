"""Pickle streams written opcode by opcode, and checkpoints as torch writes them.

The opcodes are those that the standard library's `pickletools` documents.
"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


def text(value: str) -> bytes:
    """Push a string."""
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def named(module: str, name: str) -> bytes:
    """Push what an import would give."""
    return f"c{module}\n{name}\n".encode()


def call(module: str, name: str, argument: str) -> bytes:
    """Push the result of `module.name(argument)`."""
    return named(module, name) + text(argument) + b"\x85R"


def stream(*body: bytes) -> bytes:
    """A whole pickle of protocol 4."""
    return b"\x80\x04" + b"".join(body) + b"."


def attacks(marker: Path) -> dict[str, bytes]:
    """Pickles each of which runs code when it is unpickled: it makes the file `marker`.

    Each was tried with `pickle.loads` (see `test_every_attack_is_one`).
    """
    shell = f"touch {marker}"
    python = f"open({str(marker)!r}, 'w').close()"
    system = named("os", "system")
    return {
        "system": stream(call("os", "system", shell)),
        "posix": stream(call("posix", "system", shell)),
        "exec": stream(call("builtins", "exec", python)),
        "eval": stream(call("builtins", "eval", python)),
        "by the stack": stream(text("os"), text("system"), b"\x93", text(shell), b"\x85R"),
        # getattr(import_module("os"), "system")("…"): what is called is a result itself.
        "nested": stream(
            named("builtins", "getattr"),
            call("importlib", "import_module", "os"),
            text("system"),
            b"\x86R",
            text(shell),
            b"\x85R",
        ),
        "thrown away": stream(call("os", "system", shell), b"0N"),
        "in a state dict": stream(b"}", text("weight"), call("os", "system", shell), b"s"),
        "INST": b"(" + text(shell) + b"ios\nsystem\n.",
        "OBJ": b"(" + system + text(shell) + b"o.",
        # bytes.__new__(bytes, map.__new__(map, os.system, ["…"])): the bytes run the map.
        "NEWOBJ": stream(
            named("builtins", "bytes"), named("builtins", "map"),
            system, b"]", text(shell), b"a", b"\x86\x81", b"\x85\x81",
        ),
        "NEWOBJ_EX": stream(
            named("builtins", "bytes"), named("builtins", "map"),
            system, b"]", text(shell), b"a", b"\x86}\x92", b"\x85}\x92",
        ),
        # The first state makes os.system the object's __setstate__, which takes the second.
        "BUILD": stream(
            named("argparse", "Namespace"), b")\x81",
            b"}", text("__setstate__"), system, b"sb", text(shell), b"b",
        ),
    }  # fmt: skip


@contextmanager
def nothing_runs(marker: Path) -> Iterator[None]:
    """Fail if `marker` appears or a module is imported that was not there before."""
    before = set(sys.modules)
    yield
    assert not marker.exists()
    # zipfile decodes the names of members by a codec that is imported when first used.
    ours = ("napari_medsyn", "encodings.cp437")
    assert [name for name in set(sys.modules) - before if not name.startswith(ours)] == []


def torch_zip(content: Any) -> bytes:
    """What `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)  # noqa: TID251 - the reader of this very format is tested
    return buffer.getvalue()


def torch_legacy(content: Any) -> bytes:
    """What `torch.save` wrote before version 1.6."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)  # noqa: TID251 - as above
    return buffer.getvalue()


def plain_pickle(content: Any, protocol: int = 4) -> bytes:
    """A pickle whose tensors hold a checkpoint each."""
    import pickle  # noqa: TID251 - the reader of this very format is tested

    return pickle.dumps(content, protocol)


FORMATS: Mapping[str, Callable[[Any], bytes]] = {
    "zip": torch_zip,
    "legacy": torch_legacy,
    "plain": plain_pickle,
}


def archive(
    pickle: bytes, members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED
) -> bytes:
    """A torch archive around `pickle`, with `data/<key>` from `members`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        made.writestr("model/data.pkl", pickle)
        for key, content in members.items():
            made.writestr(f"model/data/{key}", content)
    return buffer.getvalue()


def number(value: int) -> bytes:
    """Push a whole number."""
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def numbers(*values: int) -> bytes:
    """Push a tuple of whole numbers."""
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(
    count: int, kind: str = "FloatStorage", key: str = "0", view: tuple[int, int] | None = None
) -> bytes:
    """Push a storage, or the part `view` (first, count) of it, by its persistent id."""
    part = text(key) + number(view[0]) + number(view[1]) + b"\x87" if view else b"N"
    return (
        b"("
        + text("storage")
        + named("torch", kind)
        + text(key)
        + text("cpu")
        + number(count)
        + part
        + b"tQ"
    )


def tensor(
    count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], **claims: Any
) -> bytes:
    """Push a tensor that claims all this."""
    return (
        named("torch._utils", "_rebuild_tensor_v2")
        + b"("
        + storage(count, **claims)
        + number(offset)
        + numbers(*shape)
        + numbers(*strides)
        + b"\x89}tR"
    )


def entry(value: bytes) -> bytes:
    """A pickle of {"weight": value}."""
    return stream(b"}", text("weight"), value, b"s")
