"""The dock with a model of counterfactuals: inversion, own values, moves, layers."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from tests.plugin._people import OWN, answer, choose_people, invert
from tests.plugin.conftest import Dock, patient

from napari_medsyn.exploration import plausible
from napari_medsyn.exploration.plausible import Hint
from napari_medsyn.plugin.layers import mark_of


@pytest.fixture
def person(dock: Dock) -> Dock:
    """A dock with a T1 and a model that makes counterfactuals of it."""
    choose_people(dock)
    dock.add(patient("T1"))
    return dock


def click(button: Any) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_the_button_inverts_first_and_the_controls_then_stand_at_the_patient(person: Dock) -> None:
    explorer, panel = person.explorer, person.explorer.run_panel
    editors = explorer.control_panel.editors
    assert panel.impute.text() == "Invert"
    assert not panel.reconstruction.isVisibleTo(panel)
    assert not editors["age"].isEnabled()
    assert explorer.control_panel.person.isVisibleTo(explorer)
    click(panel.impute)
    assert person.engine.requests[-1].controls["task"] == "invert"
    person.engine.progress(3, 40, "Inverting 3 of 20")
    assert panel.bar.text == "Inverting 3 of 20"
    answer(person.engine, {"psnr_db": 27.94, "own": OWN, "warning": ""})
    assert dict(person.session.own or {}) == OWN
    assert editors["age"].isEnabled()
    assert editors["age"].inner.number.value() == 44
    assert editors["age"].inner.slider.mark == 44 - 18
    assert panel.impute.text() == "Counterfactual"
    assert panel.fidelity.text == "Reconstruction 27.9 dB"
    person_row = explorer.control_panel.person.fields
    assert person_row["age"].edit.placeholderText() == "~44"


def test_a_poor_reconstruction_is_amber_with_the_reason_and_can_be_done_again(person: Dock) -> None:
    panel = person.explorer.run_panel
    invert(person, 21.4, "this scan is unlike those of the training")
    assert "21.4 dB: this scan is unlike" in panel.fidelity.text
    assert "#d9a13b" in panel.fidelity._dot.styleSheet()
    before = len(person.engine.requests)
    click(panel.again)
    assert len(person.engine.requests) == before + 1
    assert person.engine.requests[-1].controls["task"] == "invert"


def test_after_an_inversion_the_picture_follows_the_sliders(person: Dock) -> None:
    explorer = person.explorer
    invert(person)
    person.until(lambda: explorer.run_panel.live.isChecked())
    request = person.engine.requests[-1]
    assert request.controls["task"] == "counterfactual"
    answer(person.engine)
    layers = explorer.results.layers
    assert layers["counterfactual_T1"].name == "SYNTHETIC counterfactual T1 · as scanned"
    explorer.control_panel.editors["age"].inner.slider.setValue(70 - 18)
    assert person.engine.requests[-1].controls["age"] == 70
    answer(person.engine)
    assert layers["counterfactual_T1"].name == "SYNTHETIC counterfactual T1 · age 70 years"
    click(explorer.control_panel.editors["age"].reset)
    assert person.engine.requests[-1].controls["age"] == 44


def test_who_switches_live_off_is_not_overruled(person: Dock) -> None:
    explorer = person.explorer
    invert(person)
    person.until(lambda: explorer.run_panel.live.isChecked())
    answer(person.engine)
    explorer.run_panel.live.click()
    click(explorer.run_panel.again)
    answer(person.engine, {"psnr_db": 28.0, "own": OWN, "warning": ""})
    person.bot.wait(30)
    assert not explorer.run_panel.live.isChecked()


def test_layers_have_the_patients_window_and_differences_one_about_zero(person: Dock) -> None:
    explorer = person.explorer
    person.viewer.layers[0].contrast_limits = (100, 500)
    invert(person)
    person.until(lambda: explorer.run_panel.live.isChecked())
    answer(person.engine)
    person.until(lambda: "jacobian_T1" in explorer.results.layers)
    layers = explorer.results.layers
    image, difference = layers["counterfactual_T1"], layers["difference_T1"]
    assert tuple(image.contrast_limits) == (100, 500)
    assert tuple(difference.contrast_limits) == (-200, 200)
    assert difference.colormap.map(np.array([0.5]))[0, 3] == 0
    assert [layer.visible for layer in (image, difference, layers["jacobian_T1"])] == [
        True, False, False,
    ]  # fmt: skip
    click(explorer.comparison.difference)
    assert difference.visible
    mark = mark_of(difference)
    assert mark is not None
    assert mark.is_synthetic
    names = [layer.name for layer in layers.values()]
    assert all(name.startswith("SYNTHETIC ") for name in names)


def test_a_second_inversion_hides_the_counterfactual_until_the_next_one(person: Dock) -> None:
    explorer = person.explorer
    invert(person)
    person.until(lambda: explorer.run_panel.live.isChecked())
    answer(person.engine)
    layer = explorer.results.layers["counterfactual_T1"]
    click(explorer.run_panel.again)
    answer(person.engine, {"psnr_db": 28.0, "own": OWN, "warning": ""})
    assert not layer.visible
    person.until(lambda: person.engine.requests[-1].controls["task"] == "counterfactual")
    answer(person.engine)
    assert layer.visible


def test_what_the_user_states_is_inverted_with_and_shown_as_stated(person: Dock) -> None:
    explorer = person.explorer
    age = explorer.control_panel.person.fields["age"].edit
    QTest.keyClicks(age, "61")
    age.editingFinished.emit()
    assert person.session.known == {"age": 61.0}
    invert(person, age=61.0)
    assert person.engine.requests[0].controls["own"] == {"age": 61.0}
    assert (age.text(), explorer.run_panel.impute.text()) == ("61", "Counterfactual")
    age.clear()
    age.editingFinished.emit()
    assert person.session.known == {}
    assert person.session.own is None
    assert explorer.run_panel.impute.text() == "Invert"


def test_a_value_that_the_model_does_not_take_is_refused_and_taken_back(person: Dock) -> None:
    explorer = person.explorer
    age = explorer.control_panel.person.fields["age"].edit
    QTest.keyClicks(age, "150")
    age.editingFinished.emit()
    assert "150" in explorer.message.text
    assert age.text() == ""
    assert person.session.known == {}


def test_a_model_that_is_chosen_after_the_scan_shows_the_same(dock: Dock) -> None:
    dock.add(patient("T1"))
    explorer = dock.explorer
    assert not explorer.sweeps.panel.isVisibleTo(explorer)
    choose_people(dock)
    assert explorer.control_panel.person.isVisibleTo(explorer)
    assert not explorer.control_panel.editors["age"].isEnabled()
    assert explorer.sweeps.panel.isVisibleTo(explorer)
    assert explorer.run_panel.impute.text() == "Invert"
    dock.session.choose_model("fake-brain-mr")
    assert not explorer.control_panel.person.isVisibleTo(explorer)
    assert not explorer.sweeps.panel.isVisibleTo(explorer)
    assert explorer.comparison.uncertainty.isVisibleTo(explorer)


def test_a_scan_that_is_switched_off_leaves_people_of_nobody(person: Dock) -> None:
    explorer = person.explorer
    invert(person)
    editors = explorer.control_panel.editors
    assert not editors["seed"].isVisibleTo(explorer)
    click(next(iter(explorer.study_panel.rows.values())).use)
    assert explorer.run_panel.impute.text() == "Generate"
    assert editors["seed"].isVisibleTo(explorer)
    assert editors["seed"].lock.isVisibleTo(explorer)
    assert not editors["mixing_seed"].lock.isVisibleTo(explorer)
    assert editors["age"].inner.slider.mark is None
    assert not explorer.control_panel.person.isVisibleTo(explorer)
    assert not explorer.run_panel.reconstruction.isVisibleTo(explorer)


def test_directions_move_the_patients_latent(person: Dock) -> None:
    invert(person)
    editor = person.explorer.control_panel.editors["directions"]
    assert editor.zero.text() == "Back to the patient"
    editor.rows[0].slider.setValue(20)
    assert person.session.controls["directions"] == (1.0, 0.0, 0.0)
    click(editor.zero)
    assert person.session.controls["directions"] == (0.0, 0.0, 0.0)


def test_hints_are_asked_for_on_a_thread_shown_and_taken(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[bool] = []

    def hints(_card: object, controls: Any) -> tuple[Hint, ...]:
        threads.append(threading.current_thread() is threading.main_thread())
        if controls["age"] < 60:
            return ()
        usual = Hint("ventricles", "depends", "At 70 years, 31 ml are usual.", 31.0)
        return usual, Hint("sex", "unsupported", "Not seen together.", "M")

    monkeypatch.setattr(plausible, "hints", hints)
    monkeypatch.setattr(plausible, "unsupported", lambda *_: ("Not seen together.",))
    choose_people(dock, label_model={"any": 1})
    dock.add(patient("T1"))
    invert(dock)
    panel = dock.explorer.control_panel
    panel.editors["age"].inner.slider.setValue(70 - 18)
    dock.until(lambda: panel.hints.lines[1].text.text() == "At 70 years, 31 ml are usual.")
    assert panel.hints.lines[0].text.text() == "Not seen together."
    assert "#d9a13b" in panel._labels["sex"].styleSheet()
    assert panel._labels["ventricles"].styleSheet() == ""
    # What the strip says is not said once more below the model, where it would move all else.
    assert dock.explorer.model_panel.fit.text == "Fits: counterfactuals of T1"
    panel.hints.lines[1].move_there.click()
    assert dock.session.controls["ventricles"] == 31.0
    assert threads
    assert not any(threads)


def test_an_age_beyond_the_training_is_told_in_the_strip(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plausible, "hints", lambda *_: ())
    monkeypatch.setattr(plausible, "unsupported", lambda *_: ())
    choose_people(dock, label_model={"any": 1})
    dock.add(patient("T1"))
    invert(dock)
    panel = dock.explorer.control_panel
    panel.editors["age"].inner.slider.setValue(90 - 18)
    said = "Age is beyond the training range, 20 years to 85 years."
    dock.until(lambda: panel.hints.lines[0].text.text() == said)
    panel.hints.lines[0].move_there.click()
    assert dock.session.controls["age"] == 85
