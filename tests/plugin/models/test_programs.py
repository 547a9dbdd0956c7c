"""medsyn as a program of its own: its answer, its sentences, its end."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from napari_medsyn.errors import Cancelled, EngineError
from napari_medsyn.plugin.models.programs import Printed, Program


def program(code: str) -> Program:
    """A program that runs `code` instead of medsyn."""
    made = Program([])
    made._command = [sys.executable, "-c", code]
    return made


def test_medsyn_is_what_runs() -> None:
    printed = Program(["--version"]).run()
    assert printed.status == 0
    assert printed.answer.startswith("medsyn ")


def test_status_answer_and_sentences_are_kept_apart() -> None:
    printed = program(
        "import sys; print('answer'); print('medsyn: one', file=sys.stderr);"
        "print('two', file=sys.stderr); sys.exit(2)"
    ).run()
    assert (printed.status, printed.answer.strip()) == (2, "answer")
    assert printed.sentences == ("one", "two")


def test_empty_lines_are_no_sentences() -> None:
    assert Printed(0, "", "\n  \nmedsyn: a\n").sentences == ("a",)


def test_cancelling_ends_a_program_that_runs() -> None:
    slow = program("import time; time.sleep(60)")
    timer = threading.Timer(0.3, slow.cancel)
    timer.start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        slow.run()
    assert time.monotonic() - start < 20


def test_a_program_cancelled_before_its_start_is_not_started() -> None:
    never = program("open('ran', 'w')")
    never.cancel()
    with pytest.raises(Cancelled):
        never.run()
    assert never._process is None


def test_a_python_that_is_not_there_is_told_in_a_sentence() -> None:
    lost = Program([])
    lost._command = ["/nowhere/python"]
    with pytest.raises(EngineError, match="could not be started"):
        lost.run()
