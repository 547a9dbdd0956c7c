"""One job at a time on packages, told of on the thread of the interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from napari_medsyn.errors import Cancelled
from napari_medsyn.plugin.dispatch import Background, GuiDispatcher, Outcome
from napari_medsyn.plugin.models.jobs import Done, Job, Ticket


class Watcher(Protocol):
    """Who shows what a job does."""

    def show_running(self, running: bool) -> None:
        """A job has begun or ended."""

    def show_progress(self, share: float | None, text: str) -> None:
        """How far it is."""

    def show_outcome(self, outcome: Outcome) -> None:
        """What became of it; its value is a `Done`, or a `Cancelled`."""


class JobRunner:
    """Runs a job on a thread; a second one is not begun before the first has ended.

    Parameters
    ----------
    background, dispatch : of the dock.
    watcher : is told of the beginning, of progress and of the end.
    """

    def __init__(self, background: Background, dispatch: GuiDispatcher, watcher: Watcher) -> None:
        self._background, self._dispatch, self._watcher = background, dispatch, watcher
        self._ticket: Ticket | None = None

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return self._ticket is not None

    def start(self, job: Job, then: Callable[[Done | None], None]) -> bool:
        """Begin a job; False if another one is running.

        Parameters
        ----------
        job : runs on a thread.
        then : is called at its end, with None if it failed or was cancelled.
        """
        if self.busy:
            return False
        ticket = self._ticket = Ticket(self._on_progress)

        def work() -> Done | Cancelled:
            try:
                return job(ticket)
            except Cancelled as cancelled:
                # The user's own wish, not an error.
                return cancelled

        def deliver(outcome: Outcome) -> None:
            self._ticket = None
            self._watcher.show_running(False)
            self._watcher.show_outcome(outcome)
            then(outcome.value if isinstance(outcome.value, Done) else None)

        self._watcher.show_running(True)
        self._watcher.show_progress(None, "")
        self._background.start(work, deliver)
        return True

    def cancel(self) -> None:
        """Have the job that runs stop as soon as it can."""
        if self._ticket is not None:
            self._ticket.cancel()

    def _on_progress(self, share: float | None, text: str) -> None:
        # Called on the job's thread.
        self._dispatch(lambda: self._show_progress(share, text))

    def _show_progress(self, share: float | None, text: str) -> None:
        if self.busy:
            self._watcher.show_progress(share, text)
