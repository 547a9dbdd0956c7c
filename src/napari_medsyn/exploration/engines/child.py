"""The process that computes: it holds torch and the models, and knows no Qt.

Started by `launching.Child`.  It reads messages before each region, so that a newer
request overtakes at once, and ends when its parent does.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from collections.abc import Mapping
from multiprocessing.connection import Client, Connection
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.exploration.caching import Caches
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
    with_voxels,
)
from napari_medsyn.exploration.engines.shared_arrays import SharedBuffer, output_arrays
from napari_medsyn.exploration.requests import Event, Finished, Request, SlabReady, Viewport
from napari_medsyn.exploration.running import Hooks, answer


class Worker:
    """Computes the newest job, one at a time.

    Parameters
    ----------
    connection : to the parent.
    families : family to "module:function"; None for those of `models.families`.
    """

    def __init__(
        self, connection: Connection[Any, Any], families: Mapping[str, str] | None
    ) -> None:
        self._connection = connection
        self._caches = Caches(families)
        self._voxels: dict[str, NDArray[Any]] = {}
        self._number = -1
        self._request: Request | None = None
        self._outputs: SharedBuffer | None = None
        self._viewport: Viewport | None = None

    def serve(self) -> None:
        """Compute jobs until the parent is gone."""
        while True:
            self._take(self._receive())
            while self._request is not None:
                if self._outputs is None:
                    raise RuntimeError("a job without a buffer")
                self._compute(self._number, self._request, self._outputs)

    def _compute(self, number: int, request: Request, outputs: SharedBuffer) -> None:
        """Compute one job, and send what comes of it."""
        axis = 0

        def allocate(
            names: tuple[str, ...], shape: tuple[int, int, int], along: int
        ) -> Mapping[str, NDArray[np.float32]]:
            nonlocal axis
            axis = along
            return output_arrays(outputs, names, shape, along)

        def send(event: Event) -> None:
            self._send(number, axis, event)

        hooks = Hooks(
            emit=send, newest=self._newest, viewport=lambda: self._viewport, allocate=allocate
        )
        for event in answer(request, self._caches, hooks):
            send(event)
        if self._request is request:
            # The buffer now and not with the next job: unmapping it takes milliseconds.
            self._request = self._outputs = None

    def _newest(self) -> Request | None:
        """The newest job's request after reading what has come; None if it was cancelled."""
        while self._connection.poll():
            self._take(self._receive())
        return self._request

    def _take(self, message: Any) -> None:
        match message:
            case Voxels():
                shared = SharedBuffer.attach(message.path)
                self._voxels[message.content_hash] = shared.array(
                    message.shape, message.dtype
                ).copy()
            case Job():
                self._outputs = SharedBuffer.attach(message.path)
                self._request = with_voxels(message, self._voxels)
                self._number = message.number
                self._viewport = None
                self._voxels = {name: self._voxels[name] for name in message.content_hashes}
            case LookAt() if message.number == self._number:
                self._viewport = message.viewport
            case Cancel():
                if message.number == self._number:
                    self._request = None
                self._connection.send(Dropped(message.number))
        self._connection.send(Taken())

    def _send(self, number: int, axis: int, event: Event) -> None:
        match event:
            case SlabReady():
                self._connection.send(Planes(number, event.axis, event.start, event.stop))
            case Finished():
                self._connection.send(
                    Whole(number, axis, event.provenance, event.notes, event.findings)
                )
            case _:
                self._connection.send(Answer(number, event))

    def _receive(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            # Not an error to report: there is nobody left to report it to.
            raise SystemExit(0) from None


def main() -> None:
    """Take address and key from standard input, and serve."""
    faulthandler.enable()
    facts = json.loads(sys.stdin.readline())
    address = facts["address"]
    Thread(target=_end_with_parent, name="medsyn-lifeline", daemon=True).start()
    # Host and port, where it is not the name of a socket or pipe, come as a JSON list.
    address = tuple(address) if isinstance(address, list) else address
    with Client(address, authkey=bytes.fromhex(facts["key"])) as connection:
        Worker(connection, facts["families"]).serve()


def _end_with_parent() -> None:
    """End at once when the parent's end of the pipe closes, also amid a long step."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
