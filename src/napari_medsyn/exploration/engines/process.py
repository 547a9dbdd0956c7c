"""The engine of napari: a child process computes, so that this one never imports torch.

Cancelling is certain (a child that does not listen is killed), a crash or running out of
memory costs a restart and nothing else, and the interface stays smooth.

One thread, the driver, owns the child and everything about it.  Callers and the thread
that reads from the child only put messages into its queue, so there are no locks.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from time import monotonic
from traceback import format_exc
from typing import Any, Final

import numpy as np

from napari_medsyn.errors import EngineError
from napari_medsyn.exploration.engines.base import OnEvent
from napari_medsyn.exploration.engines.launching import Child
from napari_medsyn.exploration.engines.messages import (
    Answer,
    Cancel,
    Dropped,
    Job,
    LookAt,
    Planes,
    Taken,
    Voxels,
    Whole,
    without_voxels,
)
from napari_medsyn.exploration.engines.shared_arrays import (
    SharedBuffer,
    output_arrays,
    output_bytes,
)
from napari_medsyn.exploration.requests import (
    Event,
    Failed,
    Finished,
    Progress,
    Request,
    SlabReady,
    Stopped,
    Viewport,
)
from napari_medsyn.scans.study import Scan

_LOG = logging.getLogger(__name__)

#: How long a child may take to notice that it is to stop, before it is killed.
PATIENCE_S: Final = 1.0

#: Messages that a busy child may have before it; more would fill the pipe and block.
MAX_UNREAD: Final = 16


class ProcessEngine:
    """Computes in a child process, started with the first request.

    Events are delivered on the driver's thread.

    Parameters
    ----------
    families : family to "module:function" instead of `models.families.TABLE`; for tests.
    patience_s : how long the child may take to notice a cancel before it is killed.
    """

    def __init__(
        self, families: Mapping[str, str] | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        # The driver must not hold the engine, or an engine that is forgotten would live on.
        self._driver = _Driver(families, patience_s)
        self._finalizer = weakref.finalize(self, self._driver.close)

    def submit(self, request: Request, on_event: OnEvent) -> None:
        """Have `request` computed; returns at once."""
        self._driver.put(lambda driver: driver.submit(request, on_event))

    def look_at(self, viewport: Viewport) -> None:
        """Have the planes around `viewport` computed next."""
        self._driver.put(lambda driver: driver.look_at(viewport))

    def cancel(self) -> None:
        """Drop what is being computed; the child is killed if it does not notice soon."""
        self._driver.put(lambda driver: driver.cancel())

    def close(self) -> None:
        """End the child.  No event is delivered afterwards."""
        self._finalizer()

    @property
    def child_pid(self) -> int | None:
        """Process id of the child, if there is one."""
        child = self._driver.child
        return child.pid if child is not None else None


@dataclass(eq=False)
class _Work:
    """A request on its way."""

    number: int
    request: Request
    on_event: OnEvent
    outputs: SharedBuffer | None = None

    def tell(self, event: Event) -> None:
        """Hand an event to whoever asked."""
        try:
            self.on_event(event)
        except Exception:  # noqa: BLE001 - whatever a listener raises, it must not end the driver
            _LOG.exception("a listener failed on %s", type(event).__name__)

    def arrays(self, axis: int) -> dict[str, Any]:
        """The outputs as they are in the buffer, not to be written to."""
        if self.outputs is None:
            raise RuntimeError("planes for a job that was never sent")
        shape = self.request.reference.grid.shape
        arrays = output_arrays(self.outputs, self.request.outputs, shape, axis)
        for array in arrays.values():
            array.setflags(write=False)
        return dict(arrays)


@dataclass(eq=False)
class _Driver:
    """What the driver's thread knows; its methods but `put` and `close` run on it."""

    families: Mapping[str, str] | None
    patience_s: float
    child: Child | None = None
    _queue: SimpleQueue[Callable[[_Driver], None] | None] = field(default_factory=SimpleQueue)
    _thread: threading.Thread | None = None
    _work: _Work | None = None
    _numbers: int = 0
    #: Content hashes of the scans that the child holds.
    _held: set[str] = field(default_factory=set)
    #: For each message that the child has not read, the buffer it names, which must live
    #: until the child has it open; None for a message without one.
    _unread: deque[SharedBuffer | None] = field(default_factory=deque)
    #: Job that the child was told to drop, and when patience ends.
    _ending: int | None = None
    _deadline: float = 0.0
    _is_closed: bool = False

    # ---- from any thread -----------------------------------------------------------

    def put(self, command: Callable[[_Driver], None]) -> None:
        if self._is_closed:
            raise EngineError("the engine was closed; start a new session")
        if self._thread is None:
            self._thread = threading.Thread(target=self._drive, name="medsyn-engine", daemon=True)
            self._thread.start()
        self._queue.put(command)

    def close(self) -> None:
        self._is_closed = True
        self._queue.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2 * self.patience_s + 1)

    # ---- the driver's thread -------------------------------------------------------

    def _drive(self) -> None:
        while True:
            left = None if self._ending is None else max(0.0, self._deadline - monotonic())
            try:
                command = self._queue.get(timeout=left)
            except Empty:
                self._lose_patience()
                continue
            if command is None or self._is_closed:
                break
            try:
                command(self)
            except Exception:  # noqa: BLE001 - the driver's fence: without it a defect, or a
                # scan with a fact that cannot be sent, would leave the session waiting for ever
                self._finish(Failed, "The engine failed; please report the details.", format_exc())
        self._end_child()

    def submit(self, request: Request, on_event: OnEvent) -> None:
        self._finish(Stopped)
        self._numbers += 1
        self._work = _Work(self._numbers, request, on_event)
        self._send_work()

    def look_at(self, viewport: Viewport) -> None:
        work = self._work
        if work is None:
            return
        if work.outputs is None:
            work.request = replace(work.request, viewport=viewport)
        elif len(self._unread) < MAX_UNREAD:
            self._send(LookAt(work.number, viewport))

    def cancel(self) -> None:
        work = self._work
        self._finish(Stopped)
        if work is not None and work.outputs is not None:
            self._ending = work.number
            self._deadline = monotonic() + self.patience_s
            self._send(Cancel(work.number))

    def hear(self, child: Child, message: Any) -> None:
        """Take a message from `child`."""
        if child is not self.child:
            return
        if isinstance(message, Taken):
            self._unread.popleft()
            self._send_work()
            return
        if isinstance(message, Dropped):
            if message.number == self._ending:
                self._ending = None
            return
        if self._work is not None and message.number == self._work.number:
            self._answer(self._work, message)

    def lost(self, child: Child) -> None:
        """The connection to `child` has ended."""
        if child is not self.child:
            return
        why, printed = child.obituary()
        self._end_child()
        if self._work is not None:
            sentence = (
                f"The engine stopped ({why}). Your scans and results are safe; it starts "
                "again with the next request."
            )
            self._finish(Failed, sentence, printed)

    def _answer(self, work: _Work, message: Any) -> None:
        generation = work.request.generation
        match message:
            case Answer():
                if not isinstance(message.event, Progress):
                    self._work = None
                work.tell(message.event)
            case Planes(_, axis, start, stop):
                planes = (slice(None),) * axis + (slice(start, stop),)
                arrays = {name: array[planes] for name, array in work.arrays(axis).items()}
                work.tell(SlabReady(generation, axis, start, stop, arrays))
            case Whole():
                self._work = None
                arrays = work.arrays(message.axis)
                whole = (message.provenance, message.notes, message.findings)
                work.tell(Finished(generation, arrays, *whole))

    def _finish(self, ending: Callable[..., Event], *details: str) -> None:
        """End the present work, if any, with an event."""
        work, self._work = self._work, None
        if work is not None:
            work.tell(ending(work.request.generation, *details))

    def _send_work(self) -> None:
        """Send the newest request, unless it is sent or the child has enough to read."""
        work = self._work
        if work is None or work.outputs is not None or len(self._unread) >= MAX_UNREAD:
            return
        try:
            self._start_child(work)
            missing = [s for s in work.request.study if s.content_hash not in self._held]
            lent = [_lend(scan) for scan in missing]
            shape = work.request.reference.grid.shape
            work.outputs = SharedBuffer.create(output_bytes(work.request.outputs, shape))
        except EngineError as error:
            self._finish(Failed, str(error), error.detail)
            return
        hashes = tuple(scan.content_hash for scan in work.request.study)
        # The child keeps the voxels of the newest job only.
        self._held = set(hashes)
        job = Job(work.number, without_voxels(work.request), hashes, work.outputs.path)
        for message, buffer in (*lent, (job, work.outputs)):
            self._send(message, buffer)

    def _send(self, message: Any, buffer: SharedBuffer | None = None) -> None:
        # If it is gone, its reader says so, and `lost` does what is to be done.
        if self.child is not None and self.child.send(message):
            self._unread.append(buffer)

    def _start_child(self, work: _Work) -> None:
        if self.child is not None:
            return
        generation = work.request.generation
        work.tell(Progress(generation, 0, 0, "Starting the engine", "preparing"))
        self.child = child = Child(self.families)
        threading.Thread(
            target=_listen, args=(child, self._queue), name="medsyn-reader", daemon=True
        ).start()

    def _lose_patience(self) -> None:
        """Kill a child that did not stop in time, and go on with what came meanwhile."""
        self._end_child()
        if self._work is not None:
            self._work.outputs = None
            self._send_work()

    def _end_child(self) -> None:
        child, self.child = self.child, None
        self._held.clear()
        self._unread.clear()
        self._ending = None
        if child is not None:
            child.end()


def _lend(scan: Scan) -> tuple[Voxels, SharedBuffer]:
    """Put a scan's voxels where the child can copy them from."""
    voxels = scan.voxels
    buffer = SharedBuffer.create(voxels.nbytes)
    np.copyto(buffer.array(voxels.shape, voxels.dtype), voxels)
    return Voxels(scan.content_hash, buffer.path, voxels.shape, voxels.dtype.str), buffer


def _listen(child: Child, queue: SimpleQueue[Callable[[_Driver], None] | None]) -> None:
    """Pass on what `child` says, until its end."""

    def heard(message: Any) -> Callable[[_Driver], None]:
        return lambda driver: driver.hear(child, message)

    with suppress(EOFError, OSError), child.connection as connection:
        while True:
            queue.put(heard(connection.recv()))
    queue.put(lambda driver: driver.lost(child))
