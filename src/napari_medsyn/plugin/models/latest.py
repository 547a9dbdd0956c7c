"""Jobs of which only the newest matters: the search for what is typed now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_medsyn.plugin.dispatch import Background, Outcome

_Order = tuple[Callable[[], Any], Callable[[Outcome], None]]


class Latest:
    """Runs one job at a time; of those that come meanwhile the newest is run next.

    Parameters
    ----------
    background : whose threads it uses, one at most.
    """

    def __init__(self, background: Background) -> None:
        self._background = background
        self._is_running = False
        self._next: _Order | None = None

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._is_running

    def start(self, job: Callable[[], Any], then: Callable[[Outcome], None]) -> None:
        """Run `job`, and `then` with its outcome unless a newer job has come by then."""
        self._next = (job, then)
        if not self._is_running:
            self._run_next()

    def _run_next(self) -> None:
        order, self._next = self._next, None
        if order is None:
            return
        job, then = order
        self._is_running = True

        def deliver(outcome: Outcome) -> None:
            self._is_running = False
            if self._next is None:
                then(outcome)
            else:
                self._run_next()

        self._background.start(job, deliver)
