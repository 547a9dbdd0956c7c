from __future__ import annotations

from napari_medsyn.exploration.history import History


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_undo_and_redo_walk_along_the_states():
    history = History("a")
    history.push("b")
    history.push("c")
    assert [history.undo(), history.undo(), history.undo()] == ["b", "a", "a"]
    assert not history.can_undo
    assert [history.redo(), history.redo(), history.redo()] == ["b", "c", "c"]
    assert not history.can_redo


def test_a_change_after_undo_forgets_what_was_undone():
    history = History("a")
    history.push("b")
    history.undo()
    history.push("c")
    assert not history.can_redo
    assert history.undo() == "a"


def test_the_same_state_is_no_step():
    history = History("a")
    history.push("a")
    assert not history.can_undo


def test_a_drag_is_one_step_and_a_second_drag_another():
    clock = Clock()
    history = History(0, pause_s=1.0, clock=clock)
    for value in (1, 2, 3):
        clock.now += 0.5
        history.push(value, "temperature")
    clock.now += 2.0
    history.push(4, "temperature")
    assert [history.undo(), history.undo()] == [3, 0]


def test_another_slider_is_another_step_however_fast():
    clock = Clock()
    history = History(0, clock=clock)
    history.push(1, "temperature")
    history.push(2, "samples")
    assert history.undo() == 1


def test_a_drag_after_undo_does_not_overwrite_the_state_undone_to():
    clock = Clock()
    history = History(0, clock=clock)
    history.push(1, "temperature")
    history.push(2, "samples")
    history.undo()
    history.push(3, "samples")
    assert history.undo() == 1


def test_only_so_many_steps_are_kept():
    history = History(0, depth=3)
    for value in range(1, 10):
        history.push(value)
    assert [history.undo() for _ in range(4)] == [8, 7, 6, 6]
