"""Bring work to a background thread, and its outcome back to the thread of the interface.

Qt widgets and napari layers may be touched on one thread only, and nothing warns of a
breach.  Everything that another thread has to say passes through a `GuiDispatcher`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal, Slot

from napari_medsyn.errors import MedsynError


class GuiDispatcher(QObject):
    """Call functions on the thread that made this object; callable from any thread.

    Calls keep their order.  After `close` they are dropped.
    """

    _called = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._open = True
        queued = Qt.ConnectionType.QueuedConnection
        self._called.connect(self._run, type=queued)  # type: ignore[call-arg]

    def __call__(self, function: Callable[[], None]) -> None:
        """Have `function` run by the event loop; returns at once."""
        if not self._open:
            return
        try:
            self._called.emit(function)
        except RuntimeError:
            # Qt deleted the object between the test and the call: the window is gone.
            self._open = False

    def close(self) -> None:
        """Drop all calls from now on, also those that wait."""
        self._open = False

    @Slot(object)
    def _run(self, function: Callable[[], None]) -> None:
        if self._open:
            function()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a background job: its `value`, or a sentence and a detail."""

    value: Any = None
    message: str = ""
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the job returned."""
        return not self.message


def attempt(job: Callable[[], Any]) -> Outcome:
    """Run `job`; an exception becomes a sentence for the user and a traceback for a report."""
    try:
        return Outcome(value=job())
    except MedsynError as error:
        return Outcome(message=str(error), detail=traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - the last fence: no exception may leave a worker
        return Outcome(
            message=f"Something went wrong that should not ({type(error).__name__}: {error}). "
            "Your scans are safe; please report the details.",
            detail=traceback.format_exc(),
        )


class Background:
    """Two threads for reading and saving, whose outcomes arrive on the interface's thread.

    Not napari's `create_worker`: its `errored` signal raises a second error under
    PySide6, and a viewer closed during the work prints one more.
    """

    def __init__(self, dispatch: GuiDispatcher) -> None:
        self._dispatch = dispatch
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="medsyn")
        self._running = 0

    @property
    def busy(self) -> bool:
        """Whether a job has been started whose outcome has not been delivered."""
        return self._running > 0

    def start(self, job: Callable[[], Any], then: Callable[[Outcome], None]) -> None:
        """Run `job` on a thread and `then`, with its outcome, on the interface's thread."""
        self._running += 1

        def deliver(outcome: Outcome) -> None:
            self._running -= 1
            then(outcome)

        def work() -> None:
            outcome = attempt(job)
            self._dispatch(lambda: deliver(outcome))

        self._threads.submit(work)

    def close(self) -> None:
        """Take no more jobs; one that runs ends unheard, one that waits is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
