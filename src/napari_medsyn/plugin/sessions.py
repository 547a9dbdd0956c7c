"""Which session belongs to which viewer, so that several docks of one viewer share it.

The Explorer announces its session; any other dock of the same viewer finds it here and
is told when one comes or goes.  All of this happens on the thread of the interface.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from psygnal import Signal, SignalGroup

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_medsyn.exploration.session import Session


class _Events(SignalGroup):
    """What docks tell each other.

    `sessions_changed`: a viewer has got, or lost, its session; to be asked for with
    `session_of`.  `catalogue_changed`: models were installed, removed or trusted.
    """

    sessions_changed = Signal()
    catalogue_changed = Signal()


#: One for the process: docks of several viewers share the catalogue on disk.
events = _Events()

#: Viewer and session, in the order of their announcement.  By identity: a viewer compares
#: with another one field by field.
_announced: list[tuple[Viewer, Session]] = []


def announce(viewer: Viewer, session: Session) -> Callable[[], None]:
    """Make `session` the one of `viewer`; give the function that takes this back."""
    pair = (viewer, session)
    _announced.append(pair)
    events.sessions_changed.emit()

    def withdraw() -> None:
        for number, known in enumerate(_announced):
            if known is pair:
                del _announced[number]
                events.sessions_changed.emit()
                return

    return withdraw


def session_of(viewer: Viewer) -> Session | None:
    """The session that was announced last for `viewer`; None without one."""
    theirs = [session for known, session in _announced if known is viewer]
    return theirs[-1] if theirs else None
