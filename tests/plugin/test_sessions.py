"""Which session belongs to which viewer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from napari_medsyn.plugin import sessions


class Alike:
    """A viewer that equals every other one, as napari's compares its fields."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture
def told() -> Iterator[list[None]]:
    told: list[None] = []

    def tell() -> None:
        told.append(None)

    sessions.events.sessions_changed.connect(tell)
    yield told
    sessions.events.sessions_changed.disconnect(tell)


def test_a_viewer_has_the_session_that_was_announced_for_it(told: list[None]) -> None:
    one: Any
    other: Any
    one, other = Alike(), Alike()
    first: Any = object()
    second: Any = object()
    withdraw = [sessions.announce(one, first), sessions.announce(other, second)]
    assert sessions.session_of(one) is first
    assert sessions.session_of(other) is second
    for undo in withdraw:
        undo()
    assert sessions.session_of(one) is None
    assert len(told) == 4


def test_of_two_docks_of_one_viewer_the_later_counts_until_it_goes(told: list[None]) -> None:
    viewer: Any = Alike()
    first: Any = object()
    second: Any = object()
    undo_first = sessions.announce(viewer, first)
    undo_second = sessions.announce(viewer, second)
    assert sessions.session_of(viewer) is second
    undo_second()
    assert sessions.session_of(viewer) is first
    undo_second()  # once is enough
    assert len(told) == 3
    undo_first()
    assert sessions.session_of(viewer) is None
