"""What the sweep's panel asks for."""

from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from tests.plugin._people import CONTROLS, people_card

from napari_medsyn.plugin.sweep_panel import SweepPanel, axis_values, nearest_step


@pytest.fixture
def panel(qtbot: QtBot) -> SweepPanel:
    panel = SweepPanel()
    qtbot.addWidget(panel)
    panel.show_card(people_card())
    panel.show_ready(True, 4 * 10**6)
    return panel


def choose(panel: SweepPanel, name: str) -> None:
    panel.covariate.setCurrentIndex(panel.covariate.findData(name))


def test_covariates_are_offered_within_what_was_seen_in_training(panel: SweepPanel) -> None:
    names = [panel.covariate.itemData(row) for row in range(panel.covariate.count())]
    assert names == ["age", "sex", "ventricles", "cohort"]
    assert (panel.first.value(), panel.last.value()) == (20, 85)
    assert panel.first.suffix() == " years"
    choose(panel, "ventricles")
    assert (panel.first.value(), panel.last.value()) == (5, 90)


def test_the_values_go_evenly_from_first_to_last(panel: SweepPanel) -> None:
    asked: list[tuple[str, Any]] = []
    panel.sweep_asked.connect(lambda name, values: asked.append((name, values)))
    panel.first.setValue(30)
    panel.last.setValue(80)
    panel.steps.setValue(11)
    panel.sweep.click()
    assert asked == [("age", tuple(float(age) for age in range(30, 81, 5)))]
    assert panel.amount.text() == "11 volumes, 44 MB"


def test_ends_are_remembered_for_each_covariate(panel: SweepPanel) -> None:
    panel.first.setValue(30)
    choose(panel, "ventricles")
    choose(panel, "age")
    assert panel.first.value() == 30


def test_categories_are_swept_one_by_one(panel: SweepPanel) -> None:
    choose(panel, "sex")
    assert not panel.span.isVisibleTo(panel)
    assert panel.values == ("F", "M")


def test_whole_numbers_come_once_each(qtbot: QtBot) -> None:
    count: dict[str, Any] = {
        "kind": "integer", "name": "count", "label": "Lesions", "minimum": 0, "maximum": 4,
        "default": 0,
    }  # fmt: skip
    panel = SweepPanel()
    qtbot.addWidget(panel)
    panel.show_card(people_card(controls=[*CONTROLS, count], covariates=("count",)))
    assert panel.values == (0, 1, 2, 3, 4)


def test_nothing_is_swept_before_an_inversion_meanwhile_or_on_the_spot(panel: SweepPanel) -> None:
    assert panel.sweep.isEnabled()
    panel.show_sweeping(True)
    assert not panel.sweep.isEnabled()
    panel.show_sweeping(False)
    panel.last.setValue(panel.first.value())
    assert not panel.sweep.isEnabled()
    panel.last.setValue(60)
    panel.show_ready(False, 0)
    assert not panel.sweep.isEnabled()
    assert "Invert" in panel.sweep.toolTip()


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ((30.0, 40.0, 50.0), (30.0, 10.0)),
        ((50.0, 40.0), (50.0, -10.0)),
        ((1.0, 2.0, 9.0), (0.0, 1.0)),
        (("F", "M"), (0.0, 1.0)),
    ],
)
def test_the_axis_has_the_covariates_own_values_where_they_are_even(
    values: tuple[Any, ...], place: tuple[float, float]
) -> None:
    assert axis_values(values) == pytest.approx(place)


def test_a_sweep_begins_where_the_control_stands() -> None:
    assert nearest_step((30.0, 40.0, 50.0), {"age": 44.0}, "age") == 1
    assert nearest_step(("F", "M"), {"sex": "M"}, "sex") == 1
    assert nearest_step((30.0, 40.0), {"age": None}, "age") == 0
