"""The strip of hints: which two are shown, that they fit, and what a button takes."""

from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from tests.plugin._people import people_card

from napari_medsyn.exploration.plausible import Hint
from napari_medsyn.plugin.hint_strip import HintStrip, two_lines

CARD = people_card()
USUAL = Hint("ventricles", "depends", "At 70 years ventricles of 31 ml are usual.", 31.0)
BEYOND = Hint("age", "unsupported", "Age 90 years was not seen with these.", 85.0)
HOPELESS = Hint("sex", "unsupported", "No single value mends that.", None)


@pytest.fixture
def strip(qtbot: QtBot) -> HintStrip:
    strip = HintStrip()
    qtbot.addWidget(strip)
    strip.resize(360, strip.sizeHint().height())
    strip.show()
    return strip


def texts(strip: HintStrip) -> list[str]:
    return [line.text.text() for line in strip.lines]


def test_the_strip_is_as_high_without_hints_as_with_them(strip: HintStrip) -> None:
    heights = set()
    for hints in ((), (USUAL,), (USUAL, BEYOND, HOPELESS)):
        strip.show_hints(hints, CARD)
        heights.add(strip.sizeHint().height())
        assert strip.minimumSizeHint().height() == strip.sizeHint().height()
    assert len(heights) == 1


def test_one_hint_of_each_kind_comes_first_what_was_not_seen_at_the_top(strip: HintStrip) -> None:
    strip.show_hints((USUAL, BEYOND, HOPELESS), CARD)
    assert texts(strip) == [BEYOND.sentence, USUAL.sentence]
    assert "#d9a13b" in strip.lines[0].text.styleSheet()
    assert "#d9a13b" not in strip.lines[1].text.styleSheet()
    strip.show_hints((BEYOND, HOPELESS), CARD)
    assert texts(strip) == [BEYOND.sentence, HOPELESS.sentence]
    assert not strip.lines[1].move_there.isVisible()


def test_the_button_says_and_takes_the_value(strip: HintStrip) -> None:
    taken: list[tuple[str, Any]] = []
    strip.taken.connect(lambda name, value: taken.append((name, value)))
    strip.show_hints((USUAL,), CARD)
    button = strip.lines[0].move_there
    assert button.text() == "→ 31 ml"
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert taken == [("ventricles", 31.0)]


def test_without_hints_there_is_nothing_to_take(strip: HintStrip) -> None:
    strip.show_hints((USUAL,), CARD)
    strip.show_hints((), CARD)
    assert texts(strip) == ["The values set go together.", ""]
    assert not any(line.move_there.isVisible() for line in strip.lines)
    strip.show_hints((), None)
    assert texts(strip) == ["", ""]


@pytest.mark.parametrize("width", [90, 160, 400])
def test_a_long_sentence_is_cut_after_two_lines_and_whole_in_the_tooltip(
    strip: HintStrip, width: int
) -> None:
    long = "Age 86 years was not seen together with the other values in training; take 70 years."
    metrics = strip.fontMetrics()
    shown = two_lines(long, metrics, width)
    rows = metrics.boundingRect(0, 0, width, 9999, int(Qt.TextFlag.TextWordWrap), shown)
    assert rows.height() <= 2 * metrics.lineSpacing() + 1
    assert shown == long or (shown.endswith("…") and long.startswith(shown[:-1]))
    strip.show_hints((Hint("age", "unsupported", long, 70.0),), CARD)
    assert long in strip.lines[0].toolTip()
