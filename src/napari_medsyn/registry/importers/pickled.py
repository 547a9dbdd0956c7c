"""Reading a pickle as what it is: a list of instructions, none of which is followed.

A pickle is a program for a small stack machine, and two of its instructions import and
call whatever the file names.  Here the program runs on a machine that cannot do either: a
name becomes a `Global`, a call becomes a `Call`, both inert, and who reads the result
decides which of them are data.  The opcodes are those of the standard library's
`pickletools` (protocols 0 to 5).
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Mapping
from typing import IO, Any, Final, cast

from napari_medsyn.registry.importers.pickled_nodes import (
    Call,
    Global,
    Limits,
    OddKey,
    Persistent,
    Pickle,
    StrangePickle,
    Stream,
)

__all__ = [
    "Call",
    "Global",
    "Limits",
    "OddKey",
    "Persistent",
    "Pickle",
    "StrangePickle",
    "Stream",
    "read_pickle",
]

#: An integer of more bits is nothing that a model file needs; Python is slow with them.
MAX_INTEGER_BITS: Final = 4096
#: Whole numbers below this have hashes of their own, so no file can make a dict slow.
_MAX_KEY: Final = 2**60
_LONGEST_NAME: Final = 500


def read_pickle(stream: Stream, limits: Limits | None = None) -> Pickle:
    """Read one pickle up to its end; nothing is imported and nothing is called.

    Sets become calls of `builtins.set`.  The stream must know its own size (as memory maps
    and `io.BytesIO` do), so that a length that lies does not reserve memory.

    Raises
    ------
    StrangePickle : the stream is cut short, damaged, beyond the limits, or uses an
        instruction that no file of a model needs.
    """
    machine = _Machine(limits or Limits())
    try:
        for opcode, argument, _ in pickletools.genops(cast("IO[bytes]", stream)):
            machine.step(opcode.name, argument)
        return Pickle(machine.pop(), tuple(machine.calls), tuple(machine.persistent))
    except StrangePickle:
        raise
    except (ValueError, OverflowError, struct.error) as error:
        raise StrangePickle(f"its pickle is damaged or cut short ({error})") from error


class _Machine:
    """The stack, the memo, and what each instruction does to them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._opcodes = self._characters = 0
        self.calls: list[Call] = []
        self.persistent: list[Persistent] = []

    def step(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        self._opcodes += 1
        if self._opcodes > self._limits.opcodes:
            raise StrangePickle(f"its pickle has more than {self._limits.opcodes} instructions")
        if name in _VALUES:
            self._push(self._checked(argument))
        elif name in _CONSTANTS:
            self._push(_CONSTANTS[name]())
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in _SILENT:
            raise StrangePickle(
                f"its pickle uses the instruction {name}, which needs more than the file; "
                "refused, nothing was run"
            )

    def pop(self) -> Any:
        """Take the uppermost value, never one below the last mark."""
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise StrangePickle("its pickle takes a value where there is none")
        return self._stack.pop()

    def _push(self, value: Any) -> None:
        if len(self._stack) >= self._limits.stack:
            raise StrangePickle(f"its pickle stacks more than {self._limits.stack} values")
        self._stack.append(value)

    def _top(self) -> Any:
        value = self.pop()
        self._stack.append(value)
        return value

    def _since_mark(self) -> list[Any]:
        if not self._marks:
            raise StrangePickle("its pickle ends a group that it did not begin")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _checked(self, value: Any) -> Any:
        """`value` if it is not too large."""
        if isinstance(value, str | bytes | bytearray):
            self._characters += len(value)
            if self._characters > self._limits.characters:
                raise StrangePickle(
                    f"its pickle has more than {self._limits.characters} bytes of text and data"
                )
        elif isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            raise StrangePickle(f"its pickle has an integer of {value.bit_length()} bits")
        return value

    # --- the stack and the memo -------------------------------------------------------

    def mark(self, _: Any) -> None:
        # Marks take no place on the stack, but a stream of nothing else takes memory.
        if len(self._marks) >= self._limits.stack:
            raise StrangePickle(f"its pickle opens more than {self._limits.stack} groups")
        self._marks.append(len(self._stack))

    def drop(self, _: Any) -> None:
        if self._marks and len(self._stack) == self._marks[-1]:
            self._marks.pop()
        else:
            self.pop()

    def drop_group(self, _: Any) -> None:
        self._since_mark()

    def repeat(self, _: Any) -> None:
        self._push(self._top())

    def remember(self, index: Any) -> None:
        index = len(self._memo) if index is None else int(index)
        if not 0 <= index < 2**32:
            raise StrangePickle(f"its pickle remembers a value as number {index}")
        self._memo[index] = self._top()

    def recall(self, index: Any) -> None:
        if int(index) not in self._memo:
            raise StrangePickle(f"its pickle recalls value {index}, which it did not remember")
        self._push(self._memo[int(index)])

    # --- containers -------------------------------------------------------------------

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def tuple_group(self, _: Any) -> None:
        self._push(tuple(self._since_mark()))

    def list_group(self, _: Any) -> None:
        self._push(self._since_mark())

    def dict_group(self, _: Any) -> None:
        values = self._since_mark()
        made: dict[Any, Any] = {}
        self._put(made, values)
        self._push(made)

    def frozenset_group(self, _: Any) -> None:
        self._call(Global("builtins", "frozenset"), (self._since_mark(),))

    def empty_set(self, _: Any) -> None:
        self._call(Global("builtins", "set"), ([],))

    def append(self, _: Any) -> None:
        value = self.pop()
        self._extend([value])

    def extend(self, _: Any) -> None:
        values = self._since_mark()
        self._extend(values)

    def set_item(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self._put(self._top(), [key, value])

    def set_items(self, _: Any) -> None:
        values = self._since_mark()
        self._put(self._top(), values)

    def _extend(self, values: list[Any]) -> None:
        target = self._top()
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Call):
            target.appended.extend(values)
        else:
            raise StrangePickle(f"its pickle appends to a {type(target).__name__}")

    def _put(self, target: Any, values: list[Any]) -> None:
        if len(values) % 2:
            raise StrangePickle("its pickle has a key without a value")
        pairs = [(_key(k), v) for k, v in zip(values[::2], values[1::2], strict=True)]
        if isinstance(target, dict):
            target.update(pairs)
        elif isinstance(target, Call):
            target.items.extend(pairs)
        else:
            raise StrangePickle(f"its pickle puts items into a {type(target).__name__}")

    # --- what an unpickler would import and call --------------------------------------

    def named(self, argument: str) -> None:
        self._push(_global(*self._checked(argument).partition(" ")[::2]))

    def named_on_stack(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        self._push(_global(module, name))

    def reduce(self, _: Any) -> None:
        arguments, function = self.pop(), self.pop()
        self._call(function, arguments)

    def new_with_names(self, _: Any) -> None:
        named, arguments, function = self.pop(), self.pop(), self.pop()
        if not isinstance(named, dict):
            raise StrangePickle("its pickle names arguments in what is no dict")
        self._call(function, arguments, named)

    def instance(self, argument: str) -> None:
        function = _global(*self._checked(argument).partition(" ")[::2])
        self._call(function, tuple(self._since_mark()))

    def instance_on_stack(self, _: Any) -> None:
        values = self._since_mark()
        if not values:
            raise StrangePickle("its pickle makes an instance of nothing")
        self._call(values[0], tuple(values[1:]))

    def build(self, _: Any) -> None:
        state, target = self.pop(), self._top()
        if not isinstance(target, Call):
            raise StrangePickle(
                f"its pickle sets the attributes of {_describe(target)}; refused, nothing was run"
            )
        if target.state is not None:
            raise StrangePickle(
                f"its pickle sets the state of {target.name} twice; refused, nothing was run"
            )
        target.state = state

    def persistent_text(self, argument: str) -> None:
        self._outside(self._checked(argument))

    def persistent_on_stack(self, _: Any) -> None:
        self._outside(self.pop())

    def _outside(self, key: Any) -> None:
        node = Persistent(key)
        self.persistent.append(node)
        self._push(node)

    def _call(self, function: Any, arguments: Any, named: Mapping[Any, Any] | None = None) -> None:
        if not isinstance(arguments, tuple):
            raise StrangePickle("its pickle calls something with what is no tuple")
        call = Call(function, arguments, named or {})
        self.calls.append(call)
        self._push(call)


def _global(module: Any, name: Any) -> Global:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise StrangePickle("its pickle imports what has no name")
    if len(module) + len(name) > _LONGEST_NAME:
        raise StrangePickle("its pickle imports a name that is too long to be one")
    return Global(module, name)


def _key(value: Any) -> Any:
    """`value` as a key whose hash takes no time and that no file can make collide."""
    if isinstance(value, int):
        return value if abs(value) < _MAX_KEY else OddKey(value)
    # A nested tuple's hash descends without a limit: deep enough, it ends the process.
    return value if value is None or isinstance(value, str | bytes | float) else OddKey(value)


def _describe(value: Any) -> str:
    return str(value) if isinstance(value, Global) else f"a {type(value).__name__}"


#: Instructions that push the argument itself.
_VALUES: Final = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
_CONSTANTS: Final[Mapping[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
#: Instructions for the unpickler's own housekeeping.
_SILENT: Final = frozenset({"PROTO", "FRAME", "STOP"})
_STEPS: Final[Mapping[str, Callable[[_Machine, Any], None]]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.drop,
    "POP_MARK": _Machine.drop_group,
    "DUP": _Machine.repeat,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    "TUPLE": _Machine.tuple_group,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "LIST": _Machine.list_group,
    "DICT": _Machine.dict_group,
    "EMPTY_SET": _Machine.empty_set,
    "FROZENSET": _Machine.frozenset_group,
    "APPEND": _Machine.append,
    **dict.fromkeys(("APPENDS", "ADDITEMS"), _Machine.extend),
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.named,
    "STACK_GLOBAL": _Machine.named_on_stack,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine.reduce),
    "NEWOBJ_EX": _Machine.new_with_names,
    "INST": _Machine.instance,
    "OBJ": _Machine.instance_on_stack,
    "BUILD": _Machine.build,
    "PERSID": _Machine.persistent_text,
    "BINPERSID": _Machine.persistent_on_stack,
}
