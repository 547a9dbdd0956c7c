"""What the dialogs say, and which button is the safe one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDialog, QLabel
from tests.plugin.models._made import ISOLATED, made_card

from napari_medsyn.evaluation.checks import Check, Report
from napari_medsyn.plugin.models.dialogs import (
    ConsentDialog,
    Question,
    ReportDialog,
    bounds,
    paragraph,
)
from napari_medsyn.registry.consent import CodeFacts

FACTS = CodeFacts(
    Path("/models/x/code"), (("code/a.py", "a" * 64), ("code/b/c.py", "b" * 64)), "c" * 64
)


Shown = TypeVar("Shown", bound=QDialog)


def shown(dialog: Shown, qtbot: QtBot) -> Shown:
    """The dialog on screen; it outlives its closing, so that it can be looked at."""
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


@pytest.fixture
def consent(qtbot: QtBot) -> ConsentDialog:
    card = made_card(**ISOLATED, authors=["<b>Eve</b>"], requires={"packages": ["torch>=2"]})
    dialog = ConsentDialog(None, card, FACTS)
    return shown(dialog, qtbot)


def words_of(dialog: ConsentDialog) -> str:
    return "\n".join(label.text() for label in dialog.findChildren(QLabel))


def test_a_paragraph_shows_markup(qtbot: QtBot) -> None:
    label = paragraph("<b>a</b>")
    qtbot.addWidget(label)
    assert label.textFormat() == Qt.TextFormat.PlainText


def test_consent_shows_folder_files_hashes_and_bounds(consent: ConsentDialog) -> None:
    words = words_of(consent)
    for part in ("Fake brain 1.2.0", "<b>Eve</b>", "/models/x/code", "c" * 64, "torch>=2"):
        assert part in words
    for sentence in bounds(sys.platform):
        assert sentence in words
    cells = [
        [consent.files.item(row, column).text() for column in range(2)]
        for row in range(consent.files.rowCount())
    ]
    assert cells == [["code/a.py", "a" * 64], ["code/b/c.py", "b" * 64]]


def test_nothing_in_the_consent_is_taken_for_html(consent: ConsentDialog) -> None:
    formats = {label.textFormat() for label in consent.findChildren(QLabel) if label.text()}
    assert formats == {Qt.TextFormat.PlainText}


def test_what_python_alone_refuses_is_not_called_a_bound() -> None:
    assert "operating system refuses" in " ".join(bounds("linux"))
    for platform in ("win32", "darwin"):
        assert "not code that means to get out" in " ".join(bounds(platform))


def test_return_does_not_trust(consent: ConsentDialog, qtbot: QtBot) -> None:
    accepted: list[None] = []
    consent.accepted.connect(lambda: accepted.append(None))
    with qtbot.waitSignal(consent.rejected):
        QTest.keyClick(consent, Qt.Key.Key_Return)
    assert accepted == []


def test_a_question_goes_on_only_by_its_own_button(qtbot: QtBot) -> None:
    question = shown(Question(None, "Remove?", "Delete it?", "Delete"), qtbot)
    assert question.leave.isDefault()
    with qtbot.waitSignal(question.accepted):
        question.go_on.click()


def test_escape_leaves_a_question(qtbot: QtBot) -> None:
    question = shown(Question(None, "Remove?", "Delete it?", "Delete"), qtbot)
    with qtbot.waitSignal(question.rejected):
        QTest.keyClick(question, Qt.Key.Key_Escape)


def test_a_report_shows_every_check_and_its_verdict(qtbot: QtBot) -> None:
    checks = (
        Check("plan", True, "1 slice"),
        Check("card", True, "14 fields to be filled in: " + "summary, " * 40, is_warning=True),
        Check("output", False, "<b>not finite</b>"),
    )
    dialog = shown(ReportDialog(None, "Test of x", Report("x", "1.0", checks)), qtbot)
    table = dialog.table
    cells = [[table.item(row, column).text() for column in range(3)] for row in range(3)]
    assert cells[0] == ["plan", "ok", "1 slice"]
    assert [line[1] for line in cells] == ["ok", "warning", "failed"]
    assert cells[2][2] == "<b>not finite</b>"
    assert len({table.item(row, 1).foreground().color().name() for row in range(3)}) == 3
    assert table.rowHeight(1) > 2 * table.rowHeight(0)  # the whole sentence can be read
    words = "\n".join(label.text() for label in dialog.findChildren(QLabel))
    assert "x 1.0: 3 checks: 1 ok, 1 warning, 1 failed" in words
