"""Sliders along latent directions."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from napari_medsyn.plugin.latent_editor import LatentEditor
from napari_medsyn.registry.controls import Latent


@pytest.fixture
def editor(qtbot: QtBot) -> LatentEditor:
    """Twenty-three directions: two whole groups and one of three."""
    control = Latent(
        kind="latent",
        name="latent",
        label="Latent",
        directions=tuple(f"z{n}" for n in range(1, 24)),
    )
    made = LatentEditor(control)
    qtbot.addWidget(made)
    made.show()
    return made


def heard(editor: LatentEditor) -> list[tuple[float, ...]]:
    values: list[tuple[float, ...]] = []
    editor.edited.connect(values.append)
    return values


def test_every_direction_is_within_reach(editor: LatentEditor) -> None:
    reached = set()
    values = heard(editor)
    for group in range(editor.groups.count()):
        editor.groups.setCurrentIndex(group)
        for row in editor.rows:
            if row.isVisible():
                editor.show_value(())
                row.number.setValue(1.5)
                reached.add(next(n for n, value in enumerate(values[-1]) if value))
    assert reached == set(range(23))


def test_a_slider_moves_its_own_direction_by_its_own_amount(editor: LatentEditor) -> None:
    values = heard(editor)
    editor.groups.setCurrentIndex(1)
    editor.rows[2].slider.setValue(-20)
    expected = [0.0] * 23
    expected[12] = -1.0
    assert values == [tuple(expected)]
    assert editor.rows[2].number.value() == -1.0


def test_other_groups_keep_their_values(editor: LatentEditor) -> None:
    values = heard(editor)
    editor.rows[0].number.setValue(2.0)
    editor.groups.setCurrentIndex(2)
    editor.rows[0].number.setValue(-2.0)
    assert (values[-1][0], values[-1][20]) == (2.0, -2.0)
    assert [row.isVisible() for row in editor.rows] == [True] * 3 + [False] * 7


def test_back_to_the_seed_puts_all_to_zero(editor: LatentEditor) -> None:
    values = heard(editor)
    assert not editor.zero.isEnabled()
    editor.rows[0].number.setValue(2.0)
    editor.zero.click()
    assert values[-1] == (0.0,) * 23
    assert not editor.zero.isEnabled()


def test_showing_a_value_tells_nobody(editor: LatentEditor) -> None:
    values = heard(editor)
    editor.show_value((0.5,) * 23)
    assert values == []
    assert editor.rows[0].number.value() == 0.5


def make(qtbot: QtBot, **fields: object) -> LatentEditor:
    made = LatentEditor(
        Latent.model_validate(
            {"kind": "latent", "name": "latent", "label": "Latent", "directions": ["a", "b"]}
            | fields
        )
    )
    qtbot.addWidget(made)
    return made


def test_a_slider_at_its_end_stays_within_a_range_of_broken_steps(qtbot: QtBot) -> None:
    editor = make(qtbot, minimum=-2.33, maximum=2.58)
    values = heard(editor)
    row = editor.rows[0]
    row.slider.setValue(row.slider.minimum())
    row.slider.setValue(row.slider.maximum())
    assert [value[0] for value in values] == [-2.33, 2.58]
    assert all(editor.control.check(value) for value in values)


def test_where_the_range_leaves_0_out_back_to_the_seed_is_its_nearest_end(qtbot: QtBot) -> None:
    editor = make(qtbot, minimum=0.5, maximum=2.0, default=[1.0, 1.0])
    editor.show_value((1.0, 1.0))
    values = heard(editor)
    editor.zero.click()
    assert values == [(0.5, 0.5)]
    assert editor.control.check(values[0])
    assert not editor.zero.isEnabled()


def test_hundreds_of_directions_need_no_more_widgets_than_ten(qtbot: QtBot) -> None:
    editor = make(qtbot, directions=[f"z{n}" for n in range(512)], minimum=0.0, maximum=1.0)
    values = heard(editor)
    assert len(editor.rows) == 10
    assert editor.groups.count() == 52
    editor.groups.setCurrentIndex(51)
    editor.rows[1].slider.setValue(editor.rows[1].slider.maximum())
    assert values[-1][511] == 1.0
    assert sum(values[-1]) == 1.0
