"""One request at a time through an engine, observable.

Every request gets a generation number, larger than any before.  Events carry the number
of the request they answer; those of an older one are dropped here, so that nothing stale
reaches a layer, whatever the engine or the event loop still has under way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from psygnal import Signal

from napari_medsyn.exploration.engines.base import Engine
from napari_medsyn.exploration.pacing import Pacing
from napari_medsyn.exploration.requests import (
    Event,
    Failed,
    Finished,
    Progress,
    Request,
    SlabReady,
    Stopped,
)
from napari_medsyn.scans.study import Scan

IDLE: Final = "idle"
PREPARING: Final = "preparing"
RUNNING: Final = "running"
FAILED: Final = "failed"

#: Runs a function on the session's thread.
Dispatch = Callable[[Callable[[], None]], None]


class Computation:
    """What is being computed, and what came of the last request.

    Parameters
    ----------
    engine : computes requests and is closed with this.
    dispatch : runs a function on the session's thread; by default at once, on the
        engine's.
    """

    progressed = Signal(Progress)
    slab_ready = Signal(SlabReady)
    finished = Signal(Finished)
    failed = Signal(str, str)
    stopped = Signal()
    state_changed = Signal(str)

    def __init__(self, engine: Engine, dispatch: Dispatch | None = None) -> None:
        self._engine = engine
        self._dispatch: Dispatch = dispatch or _at_once
        self._state = IDLE
        self._generation = 0
        self._asked: Request | None = None
        self._results: Finished | None = None
        self._answered: Request | None = None
        self._failure: Failed | None = None
        self._is_closed = False
        self._pacing = Pacing(self._compute_now, self._dispatch)

    @property
    def state(self) -> str:
        """What is going on: "idle", "preparing", "running" or "failed"."""
        return self._state

    @property
    def is_busy(self) -> bool:
        """Whether a request is being computed."""
        return self._state in (PREPARING, RUNNING)

    @property
    def results(self) -> Finished | None:
        """What came of the last request that was completed."""
        return self._results

    @property
    def results_reference(self) -> Scan | None:
        """The scan on whose grid `results` are."""
        return self._answered.reference if self._answered is not None else None

    @property
    def asked_reference(self) -> Scan | None:
        """The scan on whose grid slabs of the request under way are; None without one.

        It need not be that of what is set: a change may wait, or not be computed at all.
        """
        return self._asked.reference if self._asked is not None else None

    @property
    def failure(self) -> Failed | None:
        """Why the last request failed; None if it did not."""
        return self._failure

    def cancel(self) -> None:
        """Stop; idle at once, whatever the engine takes to notice.  Results are kept."""
        if self.is_busy:
            self._drop()
            self.stopped.emit()

    def close(self) -> None:
        """Stop and give the engine's resources back; no signal is emitted afterwards."""
        if not self._is_closed:
            self._is_closed = True
            self._pacing.end()
            self._engine.close()

    @property
    def _next_generation(self) -> int:
        return self._generation + 1

    def _submit(self, request: Request) -> None:
        self._failure = None
        self._set_state(PREPARING)
        self._pacing.begin()
        self._ask(request)

    def _ask(self, request: Request) -> None:
        """Give `request` to the engine; answers to older ones are dropped from now on."""
        self._generation = request.generation
        self._asked = request
        self._engine.submit(request, self._receive)

    def _end(self) -> None:
        """All that was asked for is there."""
        self._pacing.end()
        self._set_state(IDLE)

    def _compute_now(self) -> None:
        """Compute what is set by now; for whoever knows what is set."""
        raise NotImplementedError

    def _drop(self) -> None:
        """Let nothing of what is being computed come through any more."""
        self._pacing.end()
        if self.is_busy:
            self._generation += 1
            self._asked = None
            self._engine.cancel()
            self._set_state(IDLE)

    def _learn(self, event: Finished, request: Request) -> None:
        """Take over what came of `request`; called before `finished` is emitted."""

    def _receive(self, event: Event) -> None:
        """Take an event from the engine, on any thread."""
        self._dispatch(lambda: self._answer(event))

    def _answer(self, event: Event) -> None:
        if self._is_closed or event.generation != self._generation:
            return
        match event:
            case Progress():
                self._set_state(event.stage)
                self.progressed.emit(event)
                return
            case SlabReady():
                self._set_state(RUNNING)
                self.slab_ready.emit(event)
            case Finished():
                self._results, self._answered = event, self._asked
                if self._asked is not None:
                    self._learn(event, self._asked)
                self._set_state(IDLE)
                self.finished.emit(event)
            case Failed():
                self._failure = event
                self._set_state(FAILED)
                self.failed.emit(event.message, event.detail)
            case Stopped():
                self._set_state(IDLE)
                self.stopped.emit()
        # Whoever heard of it may have asked for another picture, of which nothing is there.
        if event.generation == self._generation:
            self._pacing.show()

    def _set_state(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self.state_changed.emit(state)


def _at_once(function: Callable[[], None]) -> None:
    function()
