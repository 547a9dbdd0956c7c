"""Editors of cards that are strange and valid: what they tell, the control accepts."""

from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from napari_medsyn.plugin.editors import SliderEditor, SpinEditor
from napari_medsyn.registry.controls import Continuous, Integer


def number(**fields: Any) -> dict[str, Any]:
    return {"name": "amount", "label": "Amount", "default": fields["minimum"], **fields}


@pytest.mark.parametrize(
    ("minimum", "maximum", "step"),
    [(0.0, 1.0, 0.15), (0.25, 1.0, 0.1), (0.0, 1.0, 1e-12), (0.0, 1e-5, 1e-7), (-1e9, 1e9, 0.1)],
)
def test_the_ends_of_a_slider_are_values_of_its_control(
    qtbot: QtBot, minimum: float, maximum: float, step: float
) -> None:
    control = Continuous(kind="continuous", **number(minimum=minimum, maximum=maximum, step=step))
    editor = SliderEditor(control)
    qtbot.addWidget(editor)
    values: list[float] = []
    editor.edited.connect(values.append)
    editor.slider.setValue(editor.slider.maximum())
    editor.slider.setValue(editor.slider.minimum())
    assert [control.check(value) for value in values] == values
    assert values[0] == pytest.approx(maximum, abs=step)
    assert values[1] == minimum


def test_whole_numbers_beyond_what_qt_counts_do_no_harm(qtbot: QtBot) -> None:
    control = Integer(kind="integer", **number(minimum=-(2**40), maximum=2**40, step=2**35))
    editor = SpinEditor(control)
    qtbot.addWidget(editor)
    values: list[int] = []
    editor.edited.connect(values.append)
    editor.show_value(2**40)
    editor.spin.setValue(5)
    assert values == [5]
