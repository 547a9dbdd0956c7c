"""The engine of scripts, the command line and tests: in this process, synchronous."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from napari_medsyn.exploration.caching import Caches
from napari_medsyn.exploration.engines.base import OnEvent
from napari_medsyn.exploration.requests import Request, Stopped, Viewport
from napari_medsyn.exploration.running import Hooks, answer


class InProcessEngine:
    """Computes in the thread that calls `submit`, which returns when all is done.

    `submit` and `cancel` may be called from an event's handler or from another thread:
    what is being computed then ends before its next region, and the newest request
    follows on the thread that computes.

    Parameters
    ----------
    families : family to "module:function" instead of `models.families.TABLE`; for tests.
    """

    def __init__(self, families: Mapping[str, str] | None = None) -> None:
        self._caches = Caches(families)
        self._lock = Lock()
        self._is_running = False
        self._stop = False
        self._waiting: tuple[Request, OnEvent] | None = None
        self._viewport: Viewport | None = None

    def submit(self, request: Request, on_event: OnEvent) -> None:
        """Compute `request` and return, or leave it to the call that is computing."""
        with self._lock:
            overtaken, self._waiting = self._waiting, (request, on_event)
            self._stop = True
            leave = self._is_running
            self._is_running = True
        if overtaken is not None:
            overtaken[1](Stopped(overtaken[0].generation))
        if not leave:
            self._work()

    def look_at(self, viewport: Viewport) -> None:
        """Compute the planes around `viewport` next."""
        self._viewport = viewport

    def cancel(self) -> None:
        """End what is being computed before its next region."""
        with self._lock:
            dropped, self._waiting = self._waiting, None
            self._stop = True
        if dropped is not None:
            dropped[1](Stopped(dropped[0].generation))

    def close(self) -> None:
        """Stop, and forget studies and models."""
        self.cancel()
        self._caches = Caches()

    def _work(self) -> None:
        """Compute what waits until nothing does."""
        try:
            while True:
                with self._lock:
                    if self._waiting is None:
                        self._is_running = False
                        return
                    (request, on_event), self._waiting = self._waiting, None
                    self._stop = False
                    self._viewport = None
                self._compute(request, on_event)
        except BaseException:
            # A handler raised, or the user pressed Ctrl+C: the engine must stay usable.
            with self._lock:
                self._is_running = False
            raise

    def _compute(self, request: Request, on_event: OnEvent) -> None:
        def newest() -> Request | None:
            waiting = self._waiting
            if waiting is not None:
                return waiting[0]
            return None if self._stop else request

        hooks = Hooks(newest=newest, emit=on_event, viewport=lambda: self._viewport)
        for event in answer(request, self._caches, hooks):
            on_event(event)
