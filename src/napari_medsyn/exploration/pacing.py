"""When a change is computed at once, and when it waits for the picture under way.

Dropping whatever is under way at every change keeps up with the user, but while a slider
is dragged faster than the model computes nothing would ever be finished, and so nothing
shown.  So a change waits until the picture under way is on screen, though not for long; of
the changes that wait only the last one is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Timer
from time import monotonic
from typing import Final

#: Longest wait for the picture under way: a model that takes longer cannot follow a drag,
#: and the user wants to see the last change first.
PATIENCE_S: Final = 1.0


class Pacing:
    """Decides for one session; called on its thread.

    Parameters
    ----------
    compute : computes what is set by now.
    dispatch : runs a function on the session's thread.
    patience : seconds.
    """

    def __init__(
        self,
        compute: Callable[[], None],
        dispatch: Callable[[Callable[[], None]], None],
        patience: float = PATIENCE_S,
    ) -> None:
        self._compute = compute
        self._dispatch = dispatch
        self._patience = patience
        self._began: float | None = None
        #: Runs while a change waits.
        self._timer: Timer | None = None

    def begin(self) -> None:
        """A request has begun; nothing of it is on screen yet."""
        self._forget_timer()
        self._began = monotonic()

    def show(self) -> None:
        """The first planes of the request are on screen, or it has ended."""
        self._began = None
        if self._timer is not None:
            self._go()

    def end(self) -> None:
        """What is under way has been dropped, and with it what waits."""
        self._forget_timer()
        self._began = None

    def ask(self) -> None:
        """Something has changed: compute it, now or as soon as the picture is there."""
        left = 0.0 if self._began is None else self._began + self._patience - monotonic()
        if left <= 0:
            self._go()
        elif self._timer is None:
            self._wait(left)

    def _wait(self, seconds: float) -> None:
        def lose_patience() -> None:
            # What was posted may come late, when this change is computed and another waits.
            if self._timer is timer:
                self._go()

        timer = Timer(seconds, self._dispatch, [lose_patience])
        timer.daemon = True
        self._timer = timer
        timer.start()

    def _go(self) -> None:
        self._forget_timer()
        self._compute()

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
