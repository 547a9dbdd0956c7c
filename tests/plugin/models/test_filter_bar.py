"""The filters: what they ask for, and when."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_medsyn.plugin.models.arranging import Facets
from napari_medsyn.plugin.models.filter_bar import FilterBar

FACETS = Facets(("imputation", "inpainting"), ("CT", "T1"), ("2D", "3D"), ("FID", "PSNR"))


@pytest.fixture
def bar(qtbot: QtBot) -> FilterBar:
    bar = FilterBar()
    qtbot.addWidget(bar)
    bar.resize(320, 160)
    bar.show()
    bar.show_facets(FACETS)
    return bar


def choose(combo, value: str) -> None:
    index = combo.findData(value)
    assert index >= 0, value
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


def test_a_word_typed_is_asked_for_once_when_the_typing_ends(bar: FilterBar, qtbot: QtBot) -> None:
    asked: list[tuple[str, ...]] = []
    bar.query_changed.connect(lambda: asked.append(bar.query().words))
    QTest.keyClicks(bar.words, "brain mr")
    assert asked == []
    qtbot.waitUntil(lambda: bool(asked))
    assert asked == [("brain", "mr")]


def test_return_does_not_wait(bar: FilterBar) -> None:
    asked: list[tuple[str, ...]] = []
    bar.query_changed.connect(lambda: asked.append(bar.query().words))
    QTest.keyClicks(bar.words, "mr")
    QTest.keyClick(bar.words, Qt.Key.Key_Return)
    assert asked == [("mr",)]
    assert not bar._typing.isActive()


def test_escape_empties_the_field_and_down_leaves_it(bar: FilterBar, qtbot: QtBot) -> None:
    QTest.keyClicks(bar.words, "mr")
    QTest.keyClick(bar.words, Qt.Key.Key_Escape)
    assert bar.words.text() == ""
    with qtbot.waitSignal(bar.left_downwards):
        QTest.keyClick(bar.words, Qt.Key.Key_Down)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("operator", "xor", "operator"),
        ("task", "inpainting", "task"),
        ("modality", "CT", "modality"),
        ("dim", "3D", "dim"),
    ],
)
def test_a_choice_is_asked_for_at_once(
    bar: FilterBar, qtbot: QtBot, name: str, value: str, field: str
) -> None:
    with qtbot.waitSignal(bar.query_changed):
        choose(getattr(bar, name), value)
    assert getattr(bar.query(), field) == value


def test_switches_are_asked_for_at_once(bar: FilterBar, qtbot: QtBot) -> None:
    with qtbot.waitSignals([bar.query_changed, bar.query_changed]):
        bar.fits.click()
        bar.can_run.click()
    assert bar.query().fits
    assert bar.query().can_run


def test_a_metric_is_sorted_by_until_there_is_none(bar: FilterBar) -> None:
    choose(bar.figure, "FID")
    assert (bar.query().metric, bar.query().sort) == ("FID", "metric")
    bar.sort_by("name", True)
    assert (bar.query().sort, bar.query().descending) == ("name", True)
    choose(bar.figure, "PSNR")
    choose(bar.figure, "")
    assert (bar.query().metric, bar.query().sort) == ("", "state")


def test_a_choice_stays_when_the_catalogue_is_listed_again(bar: FilterBar) -> None:
    choose(bar.task, "inpainting")
    choose(bar.modality, "CT")
    bar.show_facets(Facets(("inpainting",), ("T1",), (), ()))
    assert bar.query().task == "inpainting"
    assert bar.query().modality == ""  # there is none of it any more


def test_listing_again_asks_for_nothing_by_itself(bar: FilterBar) -> None:
    asked: list[object] = []
    bar.query_changed.connect(lambda: asked.append(None))
    bar.show_facets(Facets())
    assert asked == []


@pytest.mark.parametrize(("width", "rows"), [(300, 3), (460, 2), (900, 1)])
def test_the_choices_take_the_rows_that_the_width_needs(
    bar: FilterBar, width: int, rows: int
) -> None:
    bar.resize(width, 160)
    choices = (bar.task, bar.modality, bar.dim, bar.figure, bar.fits, bar.can_run)
    places = [bar._grid.getItemPosition(bar._grid.indexOf(widget)) for widget in choices]
    assert len({row for row, *_ in places}) == rows
    assert bar.minimumSizeHint().width() <= width


def test_everything_has_a_name_for_those_who_hear_it(bar: FilterBar) -> None:
    named = (bar.words, bar.operator, bar.task, bar.modality, bar.dim, bar.figure)
    assert all(widget.accessibleName() for widget in named)
