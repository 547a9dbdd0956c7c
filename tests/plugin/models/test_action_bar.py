"""The buttons: which of them can be pressed, and why not."""

from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QPushButton
from tests.plugin.models._made import (
    ISOLATED,
    LISTED,
    broken_entry,
    made_entry,
    nobody_consents,
    rows_of,
    study_of,
)

from napari_medsyn.plugin.models.action_bar import CatalogueActions, ModelActions, why_not_used
from napari_medsyn.plugin.models.rows import Row
from napari_medsyn.registry.catalogue import Entry

JUDGE: dict[str, Any] = {
    "kind": "judge",
    "inputs": ["T1"],
    "outputs": [],
    "readings": [{"name": "age", "label": "Age"}],
}
NAMES = ("use", "verify", "test", "trust", "set_up", "copy", "remove")


def row_of(entry: Entry, trusted: bool = False) -> Row:
    consent = (lambda *_: True) if trusted else nobody_consents
    (row,) = rows_of(entry, study=study_of("T1"), has_consent=consent)
    return row


@pytest.fixture
def buttons(qtbot: QtBot) -> ModelActions:
    buttons = ModelActions()
    qtbot.addWidget(buttons)
    buttons.resize(300, 80)
    buttons.show()
    return buttons


def offered(buttons: ModelActions) -> set[str]:
    return {
        name
        for name in NAMES
        if getattr(buttons, name).isEnabled() and not getattr(buttons, name).isHidden()
    }


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (row_of(made_entry()), {"use", "verify", "test", "copy", "remove"}),
        (row_of(made_entry(origin="embedded")), {"use", "verify", "test", "copy"}),
        (row_of(made_entry(inputs=["CT"])), {"use", "verify", "test", "copy", "remove"}),
        (row_of(made_entry(**JUDGE)), {"verify", "test", "copy", "remove"}),
        (row_of(made_entry(**LISTED)), {"verify", "copy", "remove"}),
        (row_of(made_entry(**ISOLATED)), {"verify", "trust", "copy", "remove"}),
        (
            row_of(made_entry(**ISOLATED), trusted=True),
            {"use", "verify", "test", "trust", "copy", "remove"},
        ),
        (
            row_of(made_entry(**ISOLATED, requires={"packages": ["no-such-thing"]}), trusted=True),
            {"verify", "trust", "set_up", "copy", "remove"},
        ),
        (row_of(broken_entry()), {"verify", "remove"}),
        (None, set()),
    ],
    ids=[
        "ours",
        "embedded",
        "unfit",
        "judge",
        "listed",
        "code",
        "trusted",
        "lacks",
        "broken",
        "none",
    ],
)
def test_what_is_offered(buttons: ModelActions, row: Row | None, expected: set[str]) -> None:
    buttons.show_row(row)
    assert offered(buttons) == expected


def test_while_a_job_runs_no_other_is_offered(buttons: ModelActions) -> None:
    buttons.show_row(row_of(made_entry(**ISOLATED), trusted=True))
    buttons.show_running(True)
    assert offered(buttons) == {"use", "copy"}
    buttons.show_running(False)
    assert offered(buttons) == {"use", "verify", "test", "trust", "copy", "remove"}


def test_trust_is_taken_back_by_the_same_button(buttons: ModelActions) -> None:
    buttons.show_row(row_of(made_entry(**ISOLATED)))
    assert buttons.trust.text() == "Trust…"
    buttons.show_row(row_of(made_entry(**ISOLATED), trusted=True))
    assert buttons.trust.text() == "Withdraw trust"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (row_of(broken_entry()), "torn: weights are missing"),
        (row_of(made_entry(**LISTED)), "It cannot be run here: it is huge."),
        (row_of(made_entry(**ISOLATED)), "only after your consent"),
        (row_of(made_entry(**JUDGE)), "It measures images"),
        (None, "Select a model"),
    ],
)
def test_a_model_that_cannot_be_used_says_why(
    buttons: ModelActions, row: Row | None, reason: str
) -> None:
    buttons.show_row(row)
    assert reason in why_not_used(row)
    assert reason in buttons.use.toolTip()


def test_every_button_can_be_reached_by_the_keyboard(buttons: ModelActions) -> None:
    from qtpy.QtCore import Qt

    for button in buttons.findChildren(QPushButton):
        assert button.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_the_menus_ask(qtbot: QtBot) -> None:
    bar = CatalogueActions()
    qtbot.addWidget(bar)
    asked: list[object] = []
    bar.file_asked.connect(lambda: asked.append("file"))
    bar.folder_asked.connect(lambda: asked.append("folder"))
    bar.import_asked.connect(lambda importer: asked.append(importer.command))
    for button in (bar.install, bar.importing):
        for action in button.menu().actions():
            action.trigger()
    assert asked == ["file", "folder", "mmhvae", "stylegan", "monai-bundle", "medigan"]


def test_while_a_job_runs_it_can_be_stopped(qtbot: QtBot) -> None:
    bar = CatalogueActions()
    qtbot.addWidget(bar)
    bar.show()
    assert not bar.running.isVisible()
    bar.show_running(True)
    bar.show_progress(0.25, "Comparing weights")
    assert bar.running.isVisible()
    assert not bar.install.isEnabled()
    assert (bar.progress.share, bar.progress.text) == (0.25, "Comparing weights")
    with qtbot.waitSignal(bar.cancel_asked):
        bar.cancel.click()
