"""One job at a time; progress, outcome and cancelling on the thread of the interface."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from napari_medsyn.errors import UnusableModel
from napari_medsyn.plugin.dispatch import Background, GuiDispatcher, Outcome
from napari_medsyn.plugin.models.job_runner import JobRunner
from napari_medsyn.plugin.models.jobs import Done, Ticket


class Watching:
    """Writes down what it is shown, and on which thread."""

    def __init__(self) -> None:
        self.running: list[bool] = []
        self.progress: list[tuple[float | None, str]] = []
        self.outcomes: list[Outcome] = []
        self.threads: set[int] = set()

    def show_running(self, running: bool) -> None:
        self.running.append(running)
        self.threads.add(threading.get_ident())

    def show_progress(self, share: float | None, text: str) -> None:
        self.progress.append((share, text))
        self.threads.add(threading.get_ident())

    def show_outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.threads.add(threading.get_ident())


@pytest.fixture
def watcher() -> Watching:
    return Watching()


@pytest.fixture
def runner(qapp: object, watcher: Watching) -> Iterator[JobRunner]:
    dispatch = GuiDispatcher()
    background = Background(dispatch)
    yield JobRunner(background, dispatch, watcher)
    dispatch.close()
    background.close()


def test_a_job_is_told_from_beginning_to_end(
    runner: JobRunner, watcher: Watching, qtbot: QtBot
) -> None:
    def job(ticket: Ticket) -> Done:
        ticket.report(0.5, "half")
        assert threading.get_ident() != main
        return Done("done")

    main, then = threading.get_ident(), []
    assert runner.start(job, then.append)
    assert runner.busy
    qtbot.waitUntil(lambda: bool(then))
    assert watcher.running == [True, False]
    assert watcher.progress == [(None, ""), (0.5, "half")]
    assert watcher.threads == {main}
    assert then == [Done("done")]
    assert not runner.busy


def test_a_second_job_is_not_begun_meanwhile(
    runner: JobRunner, watcher: Watching, qtbot: QtBot
) -> None:
    go_on, then = threading.Event(), []

    def wait(_: Ticket) -> Done:
        go_on.wait(10)
        return Done("first")

    runner.start(wait, then.append)
    assert not runner.start(lambda _: Done("second"), then.append)
    go_on.set()
    qtbot.waitUntil(lambda: bool(then))
    assert [done.sentence for done in then] == ["first"]
    assert runner.start(lambda _: Done("third"), then.append)
    qtbot.waitUntil(lambda: len(then) == 2)


def test_a_refusal_is_an_outcome_without_a_result(
    runner: JobRunner, watcher: Watching, qtbot: QtBot
) -> None:
    def refuse(_: Ticket) -> Done:
        raise UnusableModel("torn: weights are missing")

    then: list[Done | None] = []
    runner.start(refuse, then.append)
    qtbot.waitUntil(lambda: bool(watcher.outcomes))
    assert watcher.outcomes[0].message == "torn: weights are missing"
    assert then == [None]
    assert not runner.busy


def test_cancelling_stops_a_job_and_is_no_error(
    runner: JobRunner, watcher: Watching, qtbot: QtBot
) -> None:
    begun, then = threading.Event(), []

    def endless(ticket: Ticket) -> Done:
        begun.set()
        while True:
            ticket.report(None, "")

    runner.start(endless, then.append)
    begun.wait(10)
    runner.cancel()
    qtbot.waitUntil(lambda: bool(watcher.outcomes))
    assert watcher.outcomes[0].ok
    assert str(watcher.outcomes[0].value) == "Cancelled."
    assert then == [None]
