"""What a pickle turns into when nothing in it is run: plain data and inert nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class StrangePickle(ValueError):
    """The stream is not a pickle, or one that nothing ordinary writes; says why."""


class Stream(Protocol):
    """What a pickle is read from: an open file, `io.BytesIO` or a memory map."""

    def read(self, n: int, /) -> bytes:
        """At most `n` bytes, fewer at the end."""

    def readline(self) -> bytes:
        """Up to and with the next line feed."""

    def tell(self) -> int:
        """The position."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a stream may make us do; the defaults are far above any real model's.

    Parameters
    ----------
    opcodes : instructions in the stream; a tensor takes about 40.
    stack : values that wait on the stack at once.
    characters : length of all strings and bytes together.
    """

    opcodes: int = 1_000_000
    stack: int = 100_000
    characters: int = 8 * 2**30


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the file wanted to be imported; it was not."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, repr=False, slots=True)
class Call:
    """A call that the file wanted to be made; it was not.

    Parameters
    ----------
    function : usually a `Global`.
    arguments : by position.
    named : by name.
    state : what the result's `__setstate__` or attributes were to be given, or None.
    items, appended : what was to be put into the result, as into a dict or a list.
    """

    function: Any
    arguments: tuple[Any, ...]
    named: Mapping[Any, Any] = field(default_factory=dict)
    state: Any = None
    items: list[tuple[Any, Any]] = field(default_factory=list)
    appended: list[Any] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What was to be called, e.g. "os.system"."""
        if isinstance(self.function, Global):
            return str(self.function)
        return "something that the file makes itself"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Persistent:
    """Something that lies outside the pickle, such as a tensor's numbers, by its id."""

    id: Any


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class OddKey:
    """A key of a dict that is not a plain word or number; equal to nothing but itself."""

    value: Any


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Pickle:
    """What one pickle says.

    Parameters
    ----------
    value : plain data and inert nodes; references that were shared are shared.
    calls : every `Call` of the stream, those that `value` does not lead to included.
    persistent : every `Persistent` of the stream.
    """

    value: Any
    calls: tuple[Call, ...]
    persistent: tuple[Persistent, ...]
