"""Keep track of what a dock has connected, so that all of it can be let go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol


class Connectable(Protocol):
    """A signal of psygnal, of napari or of Qt: all three connect and disconnect alike."""

    def connect(self, slot: Callable[..., Any]) -> Any:
        """Have `slot` called with each emission."""

    def disconnect(self, slot: Callable[..., Any]) -> Any:
        """Have `slot` called no more."""


class Connections:
    """The connections of one dock; an object of its own, because it outlives the dock.

    napari and psygnal hold on to a slot whose widget Qt has deleted, and a bound method
    of a dying widget is not called on `destroyed`.  A dock therefore registers all it
    connects (and all else that must be undone) here and gives `close` to Qt.
    """

    def __init__(self) -> None:
        self._connected: list[tuple[Connectable, Callable[..., Any]]] = []
        self._undo: list[Callable[[], object]] = []

    def add(self, signal: Connectable, slot: Callable[..., Any]) -> None:
        """Connect `slot` to `signal` until `close`."""
        signal.connect(slot)
        self._connected.append((signal, slot))

    def remove(self, signal: Connectable, slot: Callable[..., Any]) -> None:
        """Disconnect `slot` from `signal` now: its owner is about to go."""
        if (signal, slot) in self._connected:
            self._connected.remove((signal, slot))
            _quietly(partial(signal.disconnect, slot))

    def on_close(self, undo: Callable[[], object]) -> None:
        """Have `close` call `undo`; what was registered last is undone first."""
        self._undo.append(undo)

    def close(self, *_: object) -> None:
        """Disconnect everything, then undo everything, once; further calls do nothing."""
        while self._connected:
            signal, slot = self._connected.pop()
            _quietly(partial(signal.disconnect, slot))
        while self._undo:
            _quietly(self._undo.pop())


def _quietly(undo: Callable[[], object]) -> None:
    # The other end may be gone already (a layer's emitter, a deleted Qt object): then
    # there is nothing left to undo.
    with suppress(RuntimeError, ValueError, TypeError, KeyError):
        undo()
