"""The contract of an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from napari_medsyn.exploration.requests import Event, Request, Viewport

#: Called with each event of a request, on a thread of the engine's choice.
OnEvent = Callable[[Event], None]


class Engine(Protocol):
    """Computes one request at a time; the latest wins.

    A request ends with exactly one of `Finished`, `Failed` or `Stopped`, unless the
    engine is closed.  Nothing of a request is delivered after that.
    """

    def submit(self, request: Request, on_event: OnEvent) -> None:
        """Compute `request`; what is being computed is dropped (it ends with `Stopped`)."""

    def look_at(self, viewport: Viewport) -> None:
        """The user looks at another plane: compute it next, if it is still to come."""

    def cancel(self) -> None:
        """Drop what is being computed; it ends with `Stopped`."""

    def close(self) -> None:
        """Give back every resource; the engine cannot be used any more."""
