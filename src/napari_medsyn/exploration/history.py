"""Undo and redo over snapshots."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class History(Generic[T]):
    """A line of states with a place in it.

    Changes that follow each other closely under one `topic` (a slider that is being
    dragged) are one step: undo takes the user back to before the drag.

    Parameters
    ----------
    first : the state to begin with.
    depth : how many steps back are kept.
    pause_s : a change of the same topic after a longer pause is a step of its own.
    clock : gives seconds; another one is for tests.
    """

    def __init__(
        self,
        first: T,
        depth: int = 200,
        pause_s: float = 1.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._states = [first]
        self._place = 0
        self._depth = depth
        self._pause_s = pause_s
        self._clock = clock
        self._topic = ""
        self._changed_at = 0.0

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier state."""
        return self._place > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is a later state."""
        return self._place < len(self._states) - 1

    def push(self, state: T, topic: str = "") -> None:
        """Add `state` after the present one; what had been undone is forgotten."""
        if state == self._states[self._place]:
            return
        now = self._clock()
        goes_on = bool(topic) and topic == self._topic and now - self._changed_at < self._pause_s
        del self._states[self._place + 1 :]
        if goes_on and self._place > 0:
            self._states[self._place] = state
        else:
            self._states.append(state)
            del self._states[: -self._depth - 1]
            self._place = len(self._states) - 1
        self._topic, self._changed_at = topic, now

    def undo(self) -> T:
        """Go one step back, if there is one; give the state there."""
        return self._go(-1)

    def redo(self) -> T:
        """Go one step forward, if there is one; give the state there."""
        return self._go(1)

    def _go(self, steps: int) -> T:
        self._topic = ""
        self._place = min(max(self._place + steps, 0), len(self._states) - 1)
        return self._states[self._place]
