"""From other threads to the interface's, and never past its end."""

from __future__ import annotations

import threading

from pytestqt.qtbot import QtBot

from napari_medsyn.errors import UnusableFile
from napari_medsyn.plugin.connections import Connections
from napari_medsyn.plugin.dispatch import Background, GuiDispatcher, Outcome, attempt


def test_calls_of_other_threads_run_here_in_their_order(qtbot: QtBot) -> None:
    dispatch = GuiDispatcher()
    seen: list[tuple[int, int]] = []

    def work() -> None:
        for number in range(50):
            dispatch(lambda number=number: seen.append((number, threading.get_ident())))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not seen
    qtbot.waitUntil(lambda: len(seen) == 50)
    assert seen == [(number, threading.get_ident()) for number in range(50)]


def test_nothing_comes_through_after_the_end(qtbot: QtBot) -> None:
    dispatch = GuiDispatcher()
    seen: list[int] = []
    dispatch(lambda: seen.append(1))
    dispatch.close()
    dispatch(lambda: seen.append(2))
    last = GuiDispatcher()
    last(lambda: seen.append(3))
    qtbot.waitUntil(lambda: 3 in seen)
    assert seen == [3]


def test_no_exception_leaves_a_job() -> None:
    def refuse() -> None:
        raise UnusableFile("a.nii", "it is empty")

    def break_down() -> None:
        raise ZeroDivisionError("oh")

    refused, broken = attempt(refuse), attempt(break_down)
    assert not refused.ok
    assert refused.message == "a.nii: it is empty"
    assert "ZeroDivisionError: oh" in broken.message
    assert "break_down" in broken.detail
    assert attempt(lambda: 3) == Outcome(3)


def test_a_job_runs_elsewhere_and_is_heard_here(qtbot: QtBot) -> None:
    background = Background(GuiDispatcher())
    outcomes: list[tuple[Outcome, int]] = []
    background.start(
        threading.get_ident, lambda outcome: outcomes.append((outcome, threading.get_ident()))
    )
    assert background.busy
    qtbot.waitUntil(lambda: bool(outcomes))
    ((outcome, heard_on),) = outcomes
    assert outcome.value != threading.get_ident() == heard_on
    assert not background.busy
    background.close()


def test_connections_are_undone_once_last_first() -> None:
    from psygnal import Signal

    class Source:
        changed = Signal(int)

    source, order = Source(), []
    connections = Connections()
    connections.on_close(lambda: order.append("first"))
    connections.on_close(lambda: order.append("second"))
    connections.add(source.changed, order.append)
    source.changed.emit(7)
    connections.close()
    connections.close()
    source.changed.emit(8)
    assert order == [7, "second", "first"]
