"""Of the jobs that come while one runs, the newest is run and its outcome alone delivered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_medsyn.plugin.dispatch import Outcome, attempt
from napari_medsyn.plugin.models.latest import Latest


class ByHand:
    """A background whose jobs end when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Callable[[Outcome], None]]] = []

    def start(self, job: Callable[[], Any], then: Callable[[Outcome], None]) -> None:
        self.waiting.append((job, then))

    def end(self) -> None:
        job, then = self.waiting.pop(0)
        then(attempt(job))


def test_only_the_newest_outcome_is_delivered() -> None:
    background, run, delivered = ByHand(), [], []
    latest = Latest(background)  # type: ignore[arg-type]
    for number in range(5):
        latest.start(
            lambda n=number: run.append(n) or n, lambda outcome: delivered.append(outcome.value)
        )
    assert len(background.waiting) == 1
    background.end()
    background.end()
    assert run == [0, 4]
    assert delivered == [4]
    assert background.waiting == []
    assert not latest.busy


def test_after_the_last_a_new_one_is_run() -> None:
    background, delivered = ByHand(), []
    latest = Latest(background)  # type: ignore[arg-type]
    for number in (1, 2):
        latest.start(lambda n=number: n, lambda outcome: delivered.append(outcome.value))
        background.end()
    assert delivered == [1, 2]


def test_what_fails_is_delivered_as_an_outcome() -> None:
    background, delivered = ByHand(), []
    latest = Latest(background)  # type: ignore[arg-type]
    latest.start(lambda: 1 / 0, delivered.append)
    background.end()
    assert not delivered[0].ok
    assert not latest.busy
