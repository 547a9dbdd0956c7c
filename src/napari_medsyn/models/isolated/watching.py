"""A limit on the time that something may take, for which nothing is paid when it is kept."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic


@dataclass
class _State:
    """What the watchdog's thread knows; it must not hold the watchdog itself."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    deadline: float | None = None
    #: When the thread will look again by itself; None while it waits to be woken.
    next_look: float | None = None
    has_bitten: bool = False
    is_over: bool = False


class Watchdog:
    """Calls `bite` when something takes too long.

    Its thread sleeps until the first deadline that it knew and then looks for the present
    one, so that a quick call wakes nobody: moving a slider ends in dozens of them.

    Parameters
    ----------
    bite : called on the watchdog's thread, once.
    """

    def __init__(self, bite: Callable[[], object]) -> None:
        self._state = _State()
        weakref.finalize(self, _send_home, self._state)
        threading.Thread(
            target=_watch, args=(self._state, bite), name="medsyn-watchdog", daemon=True
        ).start()

    @property
    def has_bitten(self) -> bool:
        """Whether the time was up."""
        return self._state.has_bitten

    @contextmanager
    def until(self, limit_s: float) -> Iterator[None]:
        """What is done within may take `limit_s` seconds."""
        state = self._state
        with state.changed:
            state.deadline = monotonic() + limit_s
            if state.next_look is None or state.deadline < state.next_look:
                state.changed.notify()
        try:
            yield
        finally:
            with state.changed:
                state.deadline = None


def _watch(state: _State, bite: Callable[[], object]) -> None:
    with state.changed:
        while not state.is_over:
            now = monotonic()
            if state.deadline is not None and now >= state.deadline:
                state.has_bitten = True
                bite()
                return
            state.next_look = state.deadline
            state.changed.wait(None if state.deadline is None else state.deadline - now)


def _send_home(state: _State) -> None:
    with state.changed:
        state.is_over = True
        state.changed.notify()
