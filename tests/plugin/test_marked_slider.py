"""The slider with a mark: where the mark is, and what a double click on it does."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor, QImage, QPalette
from qtpy.QtTest import QTest

from napari_medsyn.plugin.marked_slider import MarkedSlider


@pytest.fixture
def slider(qtbot: QtBot) -> MarkedSlider:
    slider = MarkedSlider()
    qtbot.addWidget(slider)
    slider.setRange(0, 100)
    slider.resize(200, 24)
    return slider


def test_without_a_mark_nothing_is_where(slider: MarkedSlider) -> None:
    assert slider.mark is None
    assert slider.mark_position() is None


def test_the_mark_is_where_the_handle_would_be(slider: MarkedSlider) -> None:
    for step in (0, 30, 100):
        slider.show_mark(step)
        slider.setValue(step)
        _, handle = slider._parts()
        position = slider.mark_position()
        assert position is not None
        assert abs(position - handle.center().x()) <= 1


def test_a_mark_beyond_the_range_is_at_its_end(slider: MarkedSlider) -> None:
    slider.show_mark(100)
    end = slider.mark_position()
    slider.show_mark(170)
    assert slider.mark_position() == end


def test_the_mark_is_painted_in_the_colour_of_text(slider: MarkedSlider) -> None:
    palette = slider.palette()
    palette.setColor(QPalette.ColorRole.WindowText, QColor(255, 0, 255))
    slider.setPalette(palette)

    def painted(mark: int | None) -> list[int]:
        slider.show_mark(mark)
        picture = slider.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        middle = picture.height() // 2
        colours = [QColor(picture.pixel(x, middle)) for x in range(picture.width())]
        return [x for x, c in enumerate(colours) if c.red() > 200 > 80 > c.green()]

    assert painted(None) == []
    columns = painted(70)
    position = slider.mark_position()
    assert position is not None
    assert columns
    assert all(abs(x - position) <= 2 for x in columns)


def test_a_double_click_on_the_mark_asks_for_it_and_elsewhere_does_not(
    slider: MarkedSlider, qtbot: QtBot
) -> None:
    slider.show_mark(70, "This patient: 44 years")
    position = slider.mark_position()
    assert position is not None
    asked: list[None] = []
    slider.mark_asked.connect(lambda: asked.append(None))
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mouseDClick(slider, button, none, QPoint(position - 40, 12))
    assert not asked
    QTest.mouseDClick(slider, button, none, QPoint(position + 3, 12))
    assert len(asked) == 1
