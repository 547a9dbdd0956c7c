"""The Models dock as a whole: what it shows, whom it follows, what its buttons do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDropEvent, QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel
from tests._fakes import make_package, make_scan
from tests.plugin._fakes import FakeEngine
from tests.plugin.models._made import (
    FREE,
    LISTED,
    MadeCatalogue,
    broken_entry,
    made_entry,
    many_entries,
    metric,
)
from tests.plugin.models.conftest import MakeDock, Viewer, at_rest

from napari_medsyn.exploration.session import Session
from napari_medsyn.plugin import contributions, sessions
from napari_medsyn.plugin.models.dock import ModelsDock
from napari_medsyn.plugin.models.table import COLUMNS
from napari_medsyn.registry.catalogue import Catalogue, Entry

KEYS = [column[0] for column in COLUMNS]


def shown(dock: ModelsDock, key: str = "name") -> list[str]:
    """What a column of the table says, from top to bottom."""
    table, column = dock.table, KEYS.index(key)
    return [table.data(table.index(row, column)) for row in range(table.rowCount())]


def choose(combo: Any, value: str) -> None:
    index = combo.findData(value)
    assert index >= 0, value
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


@pytest.fixture
def folder(home: Path) -> Path:
    """Two packages of the user's on disk."""
    models = home / "models"
    make_package(models / "brain", id="brain", name="Brain")
    make_package(
        models / "ct", id="ct", name="CT model", inputs=["CT"], outputs=["CT"], controls=[]
    )
    return models


@pytest.fixture
def session(folder: Path) -> Iterator[Session]:
    session = Session(engine=FakeEngine(), catalogue=Catalogue([(folder, "user")]))  # type: ignore[arg-type]
    yield session
    session.close()


@pytest.fixture
def viewer(session: Session) -> Iterator[Viewer]:
    """A viewer whose Explorer has announced its session."""
    viewer = Viewer()
    withdraw = sessions.announce(viewer, session)  # type: ignore[arg-type]
    yield viewer
    withdraw()


# ---- the table ---------------------------------------------------------------------


def test_every_model_is_listed_with_its_badge(make_dock: MakeDock) -> None:
    dock = make_dock(
        made_entry("a", name="Imputer"),
        made_entry("b", name="Generator", **FREE),
        made_entry("c", name="Huge", **LISTED),
        broken_entry("e"),
    )
    assert dict(zip(shown(dock), shown(dock, "state"), strict=True)) == {
        "Generator": "✓",
        "Imputer": "○",
        "Huge": "i",
        "e": "✕",
    }
    assert dock.catalogue_buttons.count.text() == "4 models"


def test_typing_searches_and_the_operator_joins(make_dock: MakeDock, qtbot: QtBot) -> None:
    dock = make_dock(
        made_entry("a", name="Alpha", summary="mammography"),
        made_entry("b", name="Beta", summary="chest"),
        made_entry("c", name="Gamma"),
    )
    QTest.keyClicks(dock.filters.words, "mammo chest")
    qtbot.waitUntil(lambda: shown(dock) == [])
    assert dock.current() is None
    choose(dock.filters.operator, "or")
    qtbot.waitUntil(lambda: shown(dock) == ["Alpha", "Beta"])
    assert dock.catalogue_buttons.count.text() == "2 of 3 models"


def test_a_metric_sorts_and_a_heading_turns_the_order(make_dock: MakeDock, qtbot: QtBot) -> None:
    dock = make_dock(
        made_entry("a", name="Good", metrics=[metric("FID", 5.0)]),
        made_entry("b", name="Bad", metrics=[metric("FID", 50.0)]),
        made_entry("c", name="None", metrics=[]),
    )
    choose(dock.filters.figure, "FID")
    qtbot.waitUntil(lambda: shown(dock) == ["Good", "Bad", "None"])
    assert shown(dock, "metric") == ["5 ↓", "50 ↓", ""]
    dock.view.horizontalHeader().sectionClicked.emit(KEYS.index("metric"))
    qtbot.waitUntil(lambda: shown(dock) == ["Bad", "Good", "None"])


def test_the_event_loop_turns_while_ten_thousand_models_are_listed_and_few_are_formatted(
    make_dock: MakeDock, qtbot: QtBot
) -> None:
    ticks: list[None] = []
    enough = threading.Event()
    waited: list[bool] = []
    timer = QTimer()
    timer.setInterval(1)
    timer.timeout.connect(lambda: (ticks.append(None), len(ticks) < 10 or enough.set()))
    timer.start()
    # Listing waits for the event loop: were it on the loop's thread, it would wait in vain.
    catalogue = MadeCatalogue(many_entries(10_000), lambda: waited.append(enough.wait(20)))
    dock = make_dock(catalogue=catalogue)
    timer.stop()
    assert waited == [True]
    assert len(ticks) > 10  # it also turned while rows were made, compared and sorted
    assert dock.table.rowCount() == 10_000
    assert 0 < dock.table.formatted < 5_000  # of 110,000 cells


def test_the_selected_model_stays_selected_when_the_order_changes(
    make_dock: MakeDock, qtbot: QtBot
) -> None:
    dock = make_dock(made_entry("a", name="A"), made_entry("b", name="B"))
    QTest.keyClick(dock.view, Qt.Key.Key_Down)
    assert dock.current().name == "B"
    dock.filters.sort_by("name", True)
    at_rest(dock, qtbot)
    assert shown(dock) == ["B", "A"]
    assert dock.current().name == "B"


def test_the_page_follows_the_selection(make_dock: MakeDock, qtbot: QtBot) -> None:
    dock = make_dock(made_entry("a", name="A"), broken_entry("b", "b: <i>torn</i>"))
    assert "A 1.2.0" in dock.page.browser.toPlainText()
    QTest.keyClick(dock.view, Qt.Key.Key_Down)
    at_rest(dock, qtbot)
    assert "b: <i>torn</i>" in dock.page.browser.toPlainText()
    assert dock.page.badge.text == "Broken: b: <i>torn</i>"
    assert not dock.model_buttons.use.isEnabled()


def test_messages_quote_cards_as_plain_text(make_dock: MakeDock) -> None:
    dock = make_dock()
    dock.message.show_message("<b>bold</b>", "bad")
    label = next(one for one in dock.message.findChildren(QLabel) if "bold" in one.text())
    assert label.textFormat() == Qt.TextFormat.PlainText


# ---- the session -------------------------------------------------------------------


def test_badges_follow_the_study_of_the_viewer(
    make_dock: MakeDock, qtbot: QtBot, viewer: Viewer, session: Session, folder: Path
) -> None:
    dock = make_dock(catalogue=Catalogue([(folder, "user")]), viewer=viewer)
    assert set(shown(dock, "state")) == {"○"}
    session.add_scan(make_scan("T1"))
    at_rest(dock, qtbot)
    assert dict(zip(shown(dock), shown(dock, "state"), strict=True)) == {
        "Brain": "✓",
        "CT model": "–",
    }
    dock.filters.fits.click()
    qtbot.waitUntil(lambda: shown(dock) == ["Brain"])


def test_a_model_is_chosen_in_the_session_and_set_off(
    make_dock: MakeDock, qtbot: QtBot, viewer: Viewer, session: Session, folder: Path
) -> None:
    dock = make_dock(catalogue=Catalogue([(folder, "user")]), viewer=viewer)
    dock.select(folder / "ct")
    QTest.keyClick(dock.view, Qt.Key.Key_Return)
    assert session.model is not None
    assert session.model.id == "ct"
    assert dock.message.text == "CT model is now used in the MedSyn dock."
    spoken = dock.table.data(
        dock.table.index(shown(dock).index("CT model"), KEYS.index("name")),
        Qt.ItemDataRole.AccessibleTextRole,
    )
    assert spoken == "CT model, in use"


def test_what_the_session_chose_itself_is_set_off_and_selected(
    make_dock: MakeDock, viewer: Viewer, session: Session, folder: Path
) -> None:
    session.choose_model("ct")
    dock = make_dock(catalogue=Catalogue([(folder, "user")]), viewer=viewer)
    assert dock.current().name == "CT model"


def test_a_session_that_refuses_is_quoted(
    make_dock: MakeDock, viewer: Viewer, session: Session
) -> None:
    dock = make_dock(made_entry("gone", name="Gone"), viewer=viewer)
    dock.model_buttons.use.click()
    assert "there is no model 'gone'" in dock.message.text
    assert session.model is None


@pytest.mark.parametrize("entry", [made_entry("a", **LISTED), broken_entry("a")])
def test_return_on_a_model_that_cannot_run_says_why(
    make_dock: MakeDock, viewer: Viewer, session: Session, entry: Entry
) -> None:
    dock = make_dock(entry, viewer=viewer)
    QTest.keyClick(dock.view, Qt.Key.Key_Return)
    assert dock.message.text == dock.current().badge.sentence
    assert session.model is None


def test_without_a_session_the_explorer_is_opened(
    make_dock: MakeDock, session: Session, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []

    class Explorer:
        def __init__(self) -> None:
            self.session = session

    def open_explorer(viewer: object) -> Explorer:
        opened.append(viewer)
        return Explorer()

    monkeypatch.setattr(contributions, "open_explorer", open_explorer)
    viewer = Viewer()
    dock = make_dock(catalogue=Catalogue([(folder, "user")]), viewer=viewer)
    dock.select(folder / "brain")
    dock.model_buttons.use.click()
    assert opened == [viewer]
    assert session.model is not None
    assert session.model.id == "brain"


def test_a_session_that_comes_later_is_found_and_one_that_goes_is_left(
    make_dock: MakeDock, qtbot: QtBot, session: Session, folder: Path
) -> None:
    viewer = Viewer()
    dock = make_dock(catalogue=Catalogue([(folder, "user")]), viewer=viewer)
    session.add_scan(make_scan("T1"))
    withdraw = sessions.announce(viewer, session)  # type: ignore[arg-type]
    qtbot.waitUntil(lambda: "✓" in shown(dock, "state"))
    withdraw()
    qtbot.waitUntil(lambda: set(shown(dock, "state")) == {"○"})
    assert dock.session is None


def test_docks_of_other_viewers_do_not_interfere(
    make_dock: MakeDock, viewer: Viewer, session: Session, folder: Path
) -> None:
    other = make_dock(catalogue=Catalogue([(folder, "user")]), viewer=Viewer())
    session.add_scan(make_scan("T1"))
    assert other.session is None
    assert set(shown(other, "state")) == {"○"}


# ---- packages ----------------------------------------------------------------------


def test_a_citation_is_copied_as_bibtex(make_dock: MakeDock) -> None:
    dock = make_dock(made_entry("a", name="Alpha", authors=["Ada Lovelace"], year=2024))
    dock.model_buttons.copy.click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    copied = clipboard.text()
    assert copied.startswith("@")
    assert "Lovelace" in copied
    assert "2024" in copied
    assert dock.message.text == "The citation is on the clipboard, as BibTeX."


def test_verifying_tells_what_is_wrong_and_nothing_is_lost(
    make_dock: MakeDock, qtbot: QtBot, folder: Path
) -> None:
    dock = make_dock(catalogue=Catalogue([(folder, "user")]))
    dock.select(folder / "brain")
    dock.model_buttons.verify.click()
    at_rest(dock, qtbot)
    assert dock.message.text == "Brain: 1 file is as the card says."
    weights = folder / "brain" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    dock.model_buttons.verify.click()
    at_rest(dock, qtbot)
    assert "its SHA-256 is not the one on the card" in dock.message.text
    assert sorted(shown(dock)) == ["Brain", "CT model"]
    assert not dock.catalogue_buttons.running.isVisible()


def test_a_dropped_folder_is_installed_listed_and_selected(
    make_dock: MakeDock, qtbot: QtBot, tmp_path: Path, folder: Path
) -> None:
    source = make_package(tmp_path / "new", id="new", name="New model")
    dock = make_dock(catalogue=Catalogue([(folder, "user")]))
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(source))])
    drop = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    dock.dropEvent(drop)
    qtbot.waitUntil(lambda: "New model" in shown(dock), timeout=10_000)
    at_rest(dock, qtbot)
    assert dock.message.text == "Installed New model."
    assert dock.current().name == "New model"


def test_what_cannot_be_installed_is_told_in_one_sentence(
    make_dock: MakeDock, qtbot: QtBot, tmp_path: Path, folder: Path
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("hello")
    dock = make_dock(catalogue=Catalogue([(folder, "user")]))
    dock.package_actions.install([notes])
    at_rest(dock, qtbot)
    assert dock.message.text.startswith(str(notes))
    assert "\n" not in dock.message.text
    assert "Traceback" not in dock.message.text


def test_docks_of_other_viewers_list_what_was_installed(
    make_dock: MakeDock, qtbot: QtBot, tmp_path: Path, folder: Path
) -> None:
    docks = [make_dock(catalogue=Catalogue([(folder, "user")])) for _ in range(2)]
    docks[0].package_actions.install([make_package(tmp_path / "new", id="new", name="New")])
    qtbot.waitUntil(lambda: "New" in shown(docks[1]), timeout=10_000)


def test_a_closed_dock_leaves_nothing_connected(qtbot: QtBot, folder: Path) -> None:
    signals = (sessions.events.sessions_changed, sessions.events.catalogue_changed)
    before = [len(signal) for signal in signals]
    dock = ModelsDock(Viewer(), Catalogue([(folder, "user")]))  # type: ignore[arg-type]
    at_rest(dock, qtbot)
    assert [len(signal) for signal in signals] == [count + 1 for count in before]
    with qtbot.waitSignal(dock.destroyed):
        dock.deleteLater()
    assert [len(signal) for signal in signals] == before


# ---- its shape ---------------------------------------------------------------------


def test_it_takes_any_width_and_gives_it_back(make_dock: MakeDock, qtbot: QtBot) -> None:
    dock = make_dock(made_entry(name="A model with a very long name indeed " * 3))
    for width in (900, 300, 460, 300):
        dock.resize(width, 950)
        qtbot.waitUntil(lambda width=width: dock.view.width() == width - 16)
        qtbot.waitUntil(lambda: dock.view.horizontalScrollBar().maximum() == 0)
        assert dock.minimumSizeHint().width() <= 300
        assert dock.splitter.orientation() == Qt.Orientation.Vertical


def test_in_a_wide_low_dock_the_page_stands_beside_the_table(make_dock: MakeDock) -> None:
    dock = make_dock(made_entry())
    dock.resize(1200, 400)
    assert dock.splitter.orientation() == Qt.Orientation.Horizontal
