"""Which calls of a checkpoint are only data, and what data they are.

Each function that is understood here is one of ours that computes from the arguments
what the named function would have given; the named one is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.registry.importers import checkpoints_storages as storages
from napari_medsyn.registry.importers.pickled_nodes import (
    Call,
    Global,
    OddKey,
    Persistent,
    Pickle,
    StrangePickle,
)

#: Containers in containers; a network's modules need some 40.
MAX_DEPTH: Final = 150
#: Bytes that the calls of the smallest pickle may copy.
_LEEWAY: Final = 2**20
#: Gives the numbers of a storage, (n,).
Opener = Callable[[Any], NDArray[Any]]


def understand(
    pickle: Pickle, opened: Opener, nested: Opener, size: int, may_stay: Collection[str] = ()
) -> Any:
    """Plain data and arrays from a pickle, all references that were shared still shared.

    Parameters
    ----------
    pickle : as it was read.
    opened : persistent id to the numbers of a storage.
    nested : bytes of a storage that was saved by itself to its numbers.
    size : of the pickle, bytes; what its calls copy may not be much more.
    may_stay : names, such as "torch.nn.modules.linear.Linear", whose calls stay inert
        `Call` nodes with their arguments understood; one that ends in "." stands for all
        below it.

    Raises
    ------
    StrangePickle : the pickle calls anything else (also where its result is thrown away),
        or its data contradicts itself.
    """
    for call in pickle.calls:
        if _meaning(call.name) is None and not _is_among(call.name, may_stay):
            raise StrangePickle(f"it calls {call.name}; refused, nothing was run")
    return _Reader(opened, nested, 4 * size + _LEEWAY).value(pickle.value)


def _is_among(name: str, names: Collection[str]) -> bool:
    return name in names or any(n.endswith(".") and name.startswith(n) for n in names)


class _Reader:
    """Turns nodes into values, each node once."""

    def __init__(self, opened: Opener, nested: Opener, at_most: int) -> None:
        self._opened = opened
        self.nested = nested
        self._done: dict[int, Any] = {}
        self._depth = 0
        self._left = at_most

    def value(self, node: Any) -> Any:
        """What a node stands for."""
        if node is None or isinstance(node, bool | int | float | str | bytes | Global):
            return node
        if isinstance(node, bytearray):
            return bytes(node)
        # The pickle holds every node, so that no two have the same number.
        if id(node) in self._done:
            made = self._done[id(node)]
            if made is _UNFINISHED:
                raise StrangePickle("something in it is made from itself")
            return made
        if self._depth >= MAX_DEPTH:
            raise StrangePickle(f"it nests more than {MAX_DEPTH} deep")
        self._depth += 1
        self._done[id(node)] = _UNFINISHED
        made = self._made(node)
        self._done[id(node)] = made
        self._depth -= 1
        return made

    def _made(self, node: Any) -> Any:
        if isinstance(node, dict):
            return self._filled(node, {}, node.items())
        if isinstance(node, list):
            made: list[Any] = []
            self._done[id(node)] = made  # a list may hold itself
            made.extend(self.value(item) for item in node)
            return made
        if isinstance(node, tuple):
            return tuple(self.value(item) for item in node)
        if isinstance(node, Persistent):
            return self._opened(self.value(node.id))
        if isinstance(node, OddKey):
            return node
        return self._called(node)

    def _filled(self, node: Any, made: dict[Any, Any], pairs: Any) -> dict[Any, Any]:
        self._done[id(node)] = made  # a dict may hold itself
        made.update((key, self.value(item)) for key, item in pairs)
        return made

    def _called(self, call: Call) -> Any:
        meaning = _meaning(call.name)
        if meaning is None:
            return self._inert(call)
        arguments = tuple(self.value(argument) for argument in call.arguments)
        if meaning is _mapping:
            copied = _mapping(self, call, arguments)
            self._spend(copied)
            return self._filled(call, copied, call.items)
        try:
            made = meaning(self, call, arguments)
        except StrangePickle:
            raise
        except (TypeError, IndexError, ValueError) as error:
            raise StrangePickle(f"it calls {call.name} with other arguments than usual") from error
        if meaning not in _VIEWS:
            self._spend(made)
        return made

    def _spend(self, made: Any) -> None:
        """Count what a call copied: a few bytes can ask for a copy of the same large value."""
        if isinstance(made, np.ndarray):
            self._left -= made.nbytes
        elif isinstance(made, bytes | str):
            self._left -= len(made)
        elif isinstance(made, list | tuple | dict):
            self._left -= 8 * len(made)
        if self._left < 0:
            raise StrangePickle("it makes the same values again and again")

    def _inert(self, call: Call) -> Call:
        made = Call(call.function, ())
        self._done[id(call)] = made  # a module may know its parent
        made.arguments = tuple(self.value(argument) for argument in call.arguments)
        made.named = {key: self.value(item) for key, item in call.named.items()}
        made.state = self.value(call.state)
        made.items = [(key, self.value(item)) for key, item in call.items]
        made.appended = [self.value(item) for item in call.appended]
        return made


_UNFINISHED: Final = object()
Meaning = Callable[[_Reader, Call, tuple[Any, ...]], Any]


def _meaning(name: str) -> Meaning | None:
    return _MEANINGS.get(name.replace("__builtin__.", "builtins.", 1))


# --- python's own ---------------------------------------------------------------------


def _mapping(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """A dict from nothing (its items follow) or, as old protocols write it, from pairs."""
    del reader
    if arguments and isinstance(arguments[-1], dict):
        return dict(arguments[-1])
    pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
    if not all(isinstance(p, list | tuple) and len(p) == 2 and _is_key(p[0]) for p in pairs):
        raise StrangePickle(f"it calls {call.name} with other arguments than usual")
    return dict(pairs)


def _is_key(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**60)


def _set(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> list[Any]:
    """A list: nobody here needs that nothing is in it twice."""
    items = arguments[0] if arguments else []
    if not isinstance(items, list | tuple):
        raise StrangePickle("a set in it is made from what is no list")
    return [*items, *(reader.value(item) for item in call.appended)]


def _encoded(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> bytes:
    """`_codecs.encode(text, "latin1")`: how old protocols write bytes."""
    del reader, call
    text, encoding = arguments
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise StrangePickle("bytes in it are written in an unknown way")
    try:
        return text.encode("latin1")
    except UnicodeEncodeError as error:
        raise StrangePickle("bytes in it are written with letters that are none") from error


def _bytes(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> bytes:
    """`bytes()` or `bytes(b"…")`; of a number, or of text, it is something else."""
    del reader, call
    if arguments and not isinstance(arguments[0], bytes):
        raise StrangePickle("bytes in it are written in an unknown way")
    return arguments[0] if arguments else b""


def _namespace(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Settings of the command line: the attributes."""
    del arguments
    state = reader.value(call.state)
    return dict(state) if isinstance(state, dict) else {}


# --- torch's --------------------------------------------------------------------------


def _tensor(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> NDArray[Any]:
    """`_rebuild_tensor_v2(storage, offset, shape, strides, …)`."""
    del reader, call
    values, offset, shape, strides = arguments[:4]
    if not isinstance(values, np.ndarray):
        raise StrangePickle("a tensor in it has no storage")
    return storages.tensor(values, offset, shape, strides)


def _parameter(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> NDArray[Any]:
    """`_rebuild_parameter(tensor, …)`: the tensor."""
    del reader, call
    if not isinstance(arguments[0], np.ndarray):
        raise StrangePickle("a parameter in it is no tensor")
    return arguments[0]


def _tensor_with_attributes(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> Any:
    """`_rebuild_from_type_v2(function, type, arguments, attributes)`: without the latter."""
    function, _, inner = arguments[:3]
    name = str(function) if isinstance(function, Global) else "something that the file makes"
    meaning = {
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
    }.get(name)
    if meaning is None or not isinstance(inner, tuple):
        raise StrangePickle(f"it makes a tensor by {name}; refused, nothing was run")
    return meaning(reader, call, inner)


def _nested_storage(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> NDArray[Any]:
    """`torch.storage._load_from_bytes(bytes)`: a checkpoint in the checkpoint."""
    del call
    if not isinstance(arguments[0], bytes):
        raise StrangePickle("a storage in it is no bytes")
    return reader.nested(arguments[0])


def _size(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    del reader, call
    return tuple(arguments[0]) if arguments else ()


def _device(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> str:
    del reader, call
    return ":".join(str(part) for part in arguments if isinstance(part, str | int))


# --- numpy's --------------------------------------------------------------------------


def _dtype(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> np.dtype[Any]:
    """`dtype("f4", …)` and its state (version, byte order, …); plain numbers only."""
    code = arguments[0]
    known = {"b1": "?"} | {f"{k}{n}": f"{k}{n}" for k in "iu" for n in (1, 2, 4, 8)}
    known |= {"f2": "f2", "f4": "f4", "f8": "f8", "c8": "c8", "c16": "c16"}
    if not isinstance(code, str) or code not in known:
        raise StrangePickle("an array in it holds something else than numbers")
    state = reader.value(call.state)
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
    made = np.dtype(known[code])
    if order == ">":
        return made.newbyteorder(">")
    return made.newbyteorder("<") if order == "<" else made


def _array(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> NDArray[Any]:
    """`_reconstruct(ndarray, …)`, whose state is (version, shape, dtype, is Fortran, bytes)."""
    del arguments
    state = reader.value(call.state)
    if not isinstance(state, tuple) or len(state) != 5:
        raise StrangePickle("an array in it has no content")
    _, shape, dtype, is_fortran, content = state
    return _from_bytes(content, dtype, shape, "F" if is_fortran is True else "C")


def _buffer(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> NDArray[Any]:
    """`_frombuffer(bytes, dtype, shape, order)`: how protocol 5 writes an array."""
    del reader, call
    content, dtype, shape, order = arguments
    return _from_bytes(content, dtype, shape, "F" if order == "F" else "C")


def _scalar(reader: _Reader, call: Call, arguments: tuple[Any, ...]) -> Any:
    """`scalar(dtype, bytes)`: a number."""
    del reader, call
    dtype, content = arguments
    return _from_bytes(content, dtype, (), "C").item()


def _from_bytes(content: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    if not isinstance(content, bytes) or not isinstance(dtype, np.dtype):
        raise StrangePickle("an array in it holds something else than numbers")
    values = np.frombuffer(content[: len(content) - len(content) % dtype.itemsize], dtype)
    if values.nbytes != len(content):
        raise StrangePickle("an array in it has a part of a number")
    if not isinstance(shape, tuple) or not all(map(storages.is_count, shape)):
        raise StrangePickle("an array in it has a shape that is no counts")
    steps, step = [], 1
    for n in reversed(shape) if order == "C" else shape:
        steps.append(step)
        step *= n
    if step != len(values):
        raise StrangePickle(f"an array in it has {len(values)} numbers where {step} are claimed")
    strides = tuple(reversed(steps)) if order == "C" else tuple(steps)
    return storages.tensor(values.astype(dtype.newbyteorder("=")), 0, shape, strides)


_NUMPY: Final = ("numpy.core.", "numpy._core.")
_MEANINGS: Final[Mapping[str, Meaning]] = {
    "builtins.dict": _mapping,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _mapping,
    "dnnlib.util.EasyDict": _mapping,
    "builtins.set": _set,
    "builtins.frozenset": _set,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "_codecs.encode": _encoded,
    "argparse.Namespace": _namespace,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _tensor_with_attributes,
    "torch.storage._load_from_bytes": _nested_storage,
    "torch.Size": _size,
    "torch.device": _device,
    "numpy.dtype": _dtype,
    **{f"{module}multiarray._reconstruct": _array for module in _NUMPY},
    **{f"{module}multiarray.scalar": _scalar for module in _NUMPY},
    **{f"{module}numeric._frombuffer": _buffer for module in _NUMPY},
}
#: Those that give what was there, seen another way.
_VIEWS: Final = frozenset({_tensor, _parameter, _tensor_with_attributes})
