"""Which changes are computed while a picture is under way."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from napari_medsyn.exploration.pacing import Pacing


class Work:
    """Counts what is computed; what is dispatched waits in `posted`."""

    def __init__(self, patience: float = 3600.0) -> None:
        self.computed = 0
        self.posted: list[Callable[[], None]] = []
        self.has_posted = threading.Event()
        self.pacing = Pacing(self._compute, self._post, patience)

    def _compute(self) -> None:
        self.computed += 1
        self.pacing.begin()

    def _post(self, function: Callable[[], None]) -> None:
        self.posted.append(function)
        self.has_posted.set()


@pytest.fixture
def work():
    made = Work()
    yield made
    made.pacing.end()


def test_with_nothing_under_way_a_change_is_computed_at_once(work: Work) -> None:
    work.pacing.ask()
    assert work.computed == 1


def test_many_changes_wait_for_the_picture_and_are_computed_once(work: Work) -> None:
    work.pacing.ask()
    for _ in range(5):
        work.pacing.ask()
    assert work.computed == 1
    work.pacing.show()
    assert work.computed == 2
    work.pacing.show()
    assert work.computed == 2


def test_once_the_picture_is_there_the_next_change_overtakes_the_rest(work: Work) -> None:
    work.pacing.ask()
    work.pacing.show()
    work.pacing.ask()
    assert work.computed == 2


def test_what_is_dropped_takes_the_waiting_change_along(work: Work) -> None:
    work.pacing.ask()
    work.pacing.ask()
    work.pacing.end()
    work.pacing.show()
    assert work.computed == 1


def test_without_patience_a_slow_picture_is_overtaken_at_once() -> None:
    work = Work(patience=0.0)
    work.pacing.ask()
    work.pacing.ask()
    assert work.computed == 2


def test_patience_ends_on_the_sessions_own_thread() -> None:
    work = Work(patience=0.02)
    work.pacing.ask()
    work.pacing.ask()
    assert work.has_posted.wait(10)
    assert work.computed == 1  # the timer's thread only posts
    work.posted.pop()()
    assert work.computed == 2


def test_a_change_computed_meanwhile_is_not_computed_again() -> None:
    work = Work(patience=0.02)
    work.pacing.ask()
    work.pacing.ask()
    assert work.has_posted.wait(10)
    work.pacing.show()
    work.posted.pop()()
    assert work.computed == 2


def test_a_late_call_of_an_earlier_timer_does_not_cut_a_later_wait_short() -> None:
    work = Work(patience=0.02)
    work.pacing.ask()
    work.pacing.ask()
    assert work.has_posted.wait(10)
    work.pacing._patience = 3600.0
    work.pacing.show()  # the waiting change is computed before the call arrives
    work.pacing.ask()  # and another one waits
    work.posted.pop(0)()
    assert work.computed == 2
    work.pacing.end()
