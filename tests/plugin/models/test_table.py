"""The table: what its cells say, and that only those in view are asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from tests.plugin.models._made import (
    FREE,
    ISOLATED,
    broken_entry,
    made_entry,
    many_entries,
    metric,
    rows_of,
    study_of,
)

from napari_medsyn.plugin.models.arranging import Figure, Query, arrange
from napari_medsyn.plugin.models.table import COLUMNS, ModelTable, TableView, figure_text

Role = Qt.ItemDataRole
KEYS = [column[0] for column in COLUMNS]
MakeView = Callable[..., TableView]


@pytest.fixture
def make_view(qtbot: QtBot) -> MakeView:
    def make(*entries: object, width: int = 900, **query: object) -> TableView:
        view = TableView(ModelTable())
        qtbot.addWidget(view)
        view.resize(width, 300)
        view.show()
        rows = rows_of(*entries, study=study_of("T1"))
        view.show_rows(arrange(rows, Query(**{"sort": "name", **query})), "")
        return view

    return make


def cell(view: TableView, row: int, key: str, role: Role = Role.DisplayRole) -> object:
    model = view.model()
    return model.data(model.index(row, KEYS.index(key)), role)


def test_cells_say_what_the_card_says(make_view: MakeView) -> None:
    view = make_view(made_entry(anatomy=["brain"], metrics=[metric("FID", 9.512)]), metric="FID")
    said = {key: cell(view, 0, key) for key in KEYS}
    assert said == {
        "state": "✓ Fits",
        "name": "Fake brain",
        "task": "imputation",
        "modality": "T1, T2, FLAIR",
        "organ": "brain",
        "covariates": "Temperature, Samples, Mood",
        "dim": "2D",
        "size": "1 B",
        "metric": "9.512 ↓",
        "licence": "BSD-3-Clause",
        "origin": "installed",
    }


def test_the_heading_of_the_figures_is_the_metric(make_view: MakeView) -> None:
    view = make_view(made_entry(metrics=[metric("FID", 9.5)]), metric="FID")
    headings = [view.model().headerData(n, Qt.Orientation.Horizontal) for n in range(len(KEYS))]
    assert headings[KEYS.index("metric")] == "FID"
    assert not view.isColumnHidden(KEYS.index("metric"))


def test_without_a_metric_there_is_no_column_of_figures(make_view: MakeView) -> None:
    assert make_view(made_entry()).isColumnHidden(KEYS.index("metric"))


def test_the_state_is_told_in_words_to_those_who_do_not_see_it(make_view: MakeView) -> None:
    view = make_view(broken_entry())
    spoken = cell(view, 0, "state", Role.AccessibleTextRole)
    assert spoken == "Broken: torn: weights are missing"


def test_a_figure_that_stands_alone_has_a_star() -> None:
    assert figure_text(Figure(9.512, "lower")) == "9.512 ↓"
    assert figure_text(Figure(0.5, "higher", is_comparable=False)) == "0.5 ↑*"
    assert figure_text(None) == ""


def test_tooltips_escape_what_cards_say(make_view: MakeView) -> None:
    view = make_view(made_entry(summary="<img src='https://example.org/a.png'>"))
    tip = cell(view, 0, "name", Role.ToolTipRole)
    assert "<img" not in str(tip)
    assert "&lt;img" in str(tip)


def test_notes_on_a_figure_are_its_tooltip(make_view: MakeView) -> None:
    view = make_view(made_entry(metrics=[metric("FID", 9.5, "higher")]), metric="FID")
    assert "should be mended" in str(cell(view, 0, "metric", Role.ToolTipRole))


def test_the_model_in_use_is_set_off(make_view: MakeView) -> None:
    view = make_view(made_entry("a"), made_entry("b"))
    view.model().show_in_use("/models/b")
    assert cell(view, 0, "name", Role.FontRole) is None
    assert cell(view, 1, "name", Role.FontRole).bold()
    assert cell(view, 1, "name", Role.AccessibleTextRole) == "Fake brain, in use"


def test_ten_thousand_rows_are_there_but_only_those_in_view_are_formatted(
    make_view: MakeView, qtbot: QtBot
) -> None:
    view = make_view(*many_entries(10_000))
    table = view.model()
    qtbot.waitUntil(lambda: table.formatted > 0)
    assert table.rowCount() == 10_000
    in_view = view.height() // view.rowHeight(0) + 1
    assert table.formatted <= 3 * in_view * len(KEYS)  # a few paints
    view.scrollToBottom()
    qtbot.waitUntil(lambda: view.rowAt(5) > 9_900)
    assert table.formatted <= 10 * in_view * len(KEYS)


@pytest.mark.parametrize(("width", "is_hidden"), [(1400, False), (320, True)])
def test_columns_without_room_are_left_out(
    make_view: MakeView, width: int, is_hidden: bool
) -> None:
    view = make_view(made_entry(), width=width)
    assert view.isColumnHidden(KEYS.index("licence")) is is_hidden
    assert not view.isColumnHidden(KEYS.index("name"))
    assert not view.isColumnHidden(KEYS.index("state"))
    assert view.horizontalScrollBar().maximum() == 0
    assert cell(view, 0, "state") == ("✓" if is_hidden else "✓ Fits")


def test_a_narrow_table_leaves_the_name_most_of_the_room(make_view: MakeView) -> None:
    view = make_view(made_entry(), width=320)
    assert view.columnWidth(KEYS.index("name")) > 140


def test_the_wanted_model_is_selected_or_else_the_first(make_view: MakeView) -> None:
    view = make_view(made_entry("a"), made_entry("b"))
    assert view.current_row().entry.id == "a"
    view.show_current("/models/b")
    assert view.current_row().entry.id == "b"
    view.show_current("/models/gone")
    assert view.current_row().entry.id == "a"


def test_an_empty_table_has_no_model_and_says_so(make_view: MakeView, qtbot: QtBot) -> None:
    view = make_view(made_entry())
    with qtbot.waitSignal(view.current_changed):
        view.show_rows(arrange((), Query()), "")
    assert view.current_row() is None


def test_a_heading_sorts_and_pressed_again_turns_the_order(make_view: MakeView) -> None:
    view = make_view(made_entry(), sort="state")
    asked = []
    view.sort_asked.connect(lambda *order: asked.append(order))
    press = view.horizontalHeader().sectionClicked.emit
    press(KEYS.index("size"))
    rows = rows_of(made_entry())
    view.show_rows(arrange(rows, Query(sort="size")), "")
    press(KEYS.index("size"))
    assert asked == [("size", False), ("size", True)]
    assert view.horizontalHeader().sortIndicatorSection() == KEYS.index("size")


@pytest.mark.parametrize(
    ("key", "signal"),
    [
        (Qt.Key.Key_Return, "activated_row"),
        (Qt.Key.Key_Delete, "remove_asked"),
        (Qt.Key.Key_F5, "refresh_asked"),
        (Qt.Key.Key_Slash, "search_asked"),
    ],
)
def test_keys(make_view: MakeView, qtbot: QtBot, key: Qt.Key, signal: str) -> None:
    view = make_view(made_entry(**FREE), made_entry("b", **ISOLATED))
    with qtbot.waitSignal(getattr(view, signal), timeout=1000):
        QTest.keyClick(view, key)


def test_arrow_keys_go_through_the_models(make_view: MakeView) -> None:
    view = make_view(made_entry("a"), made_entry("b"))
    QTest.keyClick(view, Qt.Key.Key_Down)
    assert view.current_row().entry.id == "b"
