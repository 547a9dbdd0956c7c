"""Sweeps in a session, and their files."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from tests.exploration._people import DARKER, FAMILIES, make_people
from tests.exploration.test_inverting import OUTPUTS, OWN, found, patient, session_of
from tests.exploration.test_session import FakeEngine, Listener

from napari_medsyn.errors import UnusableFile, UnusableModel, UnusableStudy
from napari_medsyn.exploration import swept as swept_module
from napari_medsyn.exploration.engines.in_process import InProcessEngine
from napari_medsyn.exploration.requests import Failed, Finished, Progress, SlabReady
from napari_medsyn.exploration.sweeping import save_sweep

VENTRICLES = (20, 25, 30, 35)


@pytest.fixture
def people(tmp_path):
    return make_people(tmp_path / "models" / "people")


@pytest.fixture
def script(people):
    """A session that computes at once, with a patient whose own values are known."""
    session = session_of(InProcessEngine(FAMILIES), people)
    session.set_study(patient())
    session.invert()
    yield session
    session.close()


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def waiting(engine, people):
    """The same, whose engine answers when the test says so."""
    session = session_of(engine, people)
    session.set_study(patient())
    session.invert()
    engine.answer(found(engine))
    engine.requests.clear()
    yield session
    session.close()


def swept_by(session, control, values):
    made = []
    session.sweep_finished.connect(made.append)
    session.sweep(control, values)
    (swept,) = made
    return swept


@pytest.fixture
def swept(script):
    return swept_by(script, "ventricles", VENTRICLES)


def whole(engine, value) -> Finished:
    shape = (14, 15, 8)
    arrays = {name: np.full(shape, value, np.float32) for name in OUTPUTS}
    return Finished(engine.requests[-1].generation, arrays, {"controls": {"age": value}})


# ---- what a sweep is ---------------------------------------------------------------------


def test_a_sweep_has_each_step_on_the_patients_grid(script, swept):
    assert (swept.control, swept.label, swept.unit) == ("ventricles", "Ventricles", "ml")
    assert swept.values == VENTRICLES
    assert swept.reference is script.reference
    assert set(swept.arrays) == set(OUTPUTS)
    difference = swept.arrays["difference_T1"]
    assert difference.shape == (4, 14, 15, 8)
    assert difference.dtype == np.float32
    steps = swept.provenance["steps"]
    high = next(step["high"] for step in steps if step["step"] == "intensity")
    # The patient's own value is the first.
    lowest = [step.min() for step in difference]
    np.testing.assert_allclose(lowest, [high * DARKER * k for k in (0, 5, 10, 15)], rtol=1e-3)


def test_its_steps_are_what_single_requests_give(script, swept):
    script.set_control("ventricles", 30)
    script.impute()
    for name, array in script.results.arrays.items():
        np.testing.assert_array_equal(swept.arrays[name][2], array)


def test_the_provenance_lists_all_values(swept):
    told = json.loads(json.dumps(dict(swept.provenance)))
    assert told["SYNTHETIC"] is True
    assert told["sweep"] == {
        "control": "ventricles", "label": "Ventricles", "unit": "ml", "values": list(VENTRICLES),
    }  # fmt: skip
    assert "ventricles" not in told["controls"]
    assert told["controls"]["own"] == OWN
    assert told["controls"]["age"] == 44


def test_a_sweep_leaves_controls_and_results_as_they_are(script):
    before, results = dict(script.controls), script.results
    swept_by(script, "sex", ("F", "M", None))
    assert script.controls == before
    assert script.results is results
    assert script.state == "idle"


def test_people_of_nobody_can_be_swept(script):
    script.use_modality("T1", False)
    swept = swept_by(script, "age", (30, 60))
    (array,) = swept.arrays.values()
    np.testing.assert_allclose(array[:, 5, 6, 7], [0.3, 0.6], rtol=1e-6)
    assert swept.value_text(1) == "Age 60 years"
    assert swept.axis_label == "Age (years)"


@pytest.mark.parametrize(
    ("control", "values", "reason"),
    [
        ("height", (1, 2), "no control 'height'"),
        ("age", (30, 95), "age 95.0 is outside 20 to 90"),
        ("age", (30,), "at least two values"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_computed(
    waiting, engine, control, values, reason
):
    with pytest.raises(UnusableModel, match=reason):
        waiting.sweep(control, values)
    assert engine.requests == []


def test_a_sweep_starts_from_the_patients_own_values(waiting, engine):
    waiting.set_known({"age": 40})
    with pytest.raises(UnusableStudy, match="invert the scan first"):
        waiting.sweep("age", (30, 60))
    assert engine.requests == []


def test_a_sweep_that_does_not_fit_in_memory_is_refused(waiting, engine, monkeypatch):
    monkeypatch.setattr(swept_module, "MOST_BYTES", 3 * 4 * 2 * 14 * 15 * 8 - 1)
    with pytest.raises(UnusableStudy, match="a sweep of 2 steps would take"):
        waiting.sweep("age", (30, 60))
    assert engine.requests == []


# ---- on its way --------------------------------------------------------------------------


def test_progress_is_over_all_and_single_steps_are_not_shown(waiting, engine):
    heard, told = Listener(waiting), []
    waiting.sweep_progressed.connect(told.append)
    waiting.sweep("age", (30, 60))
    assert waiting.is_sweeping
    for value in (30, 60):
        generation = engine.requests[-1].generation
        assert engine.requests[-1].controls["age"] == value
        engine.answer(Progress(generation, 0, 8, "Imputing"))
        engine.answer(SlabReady(generation, 2, 0, 1, {}))
        engine.answer(Progress(generation, 4, 8, "Imputing"))
        engine.answer(whole(engine, value))
    assert [(p.done, p.total) for p in told] == [(0, 16), (4, 16), (8, 16), (12, 16)]
    assert told[-1].phase == "Imputing · step 2 of 2"
    assert "slab_ready" not in heard.names
    assert "finished" not in heard.names
    assert [v for n, *v in heard.heard if n == "state_changed"] == [
        ["preparing"], ["running"], ["idle"],
    ]  # fmt: skip
    assert not waiting.is_sweeping


def test_cancel_ends_all_of_it(waiting, engine):
    heard, made = Listener(waiting), []
    waiting.sweep_finished.connect(made.append)
    waiting.sweep("age", (30, 60))
    engine.answer(whole(engine, 30))
    waiting.cancel()
    assert (waiting.state, waiting.is_sweeping, engine.cancelled) == ("idle", False, 1)
    assert heard.names[-1] == "stopped"
    engine.answer(whole(engine, 60))
    assert made == []
    assert len(engine.requests) == 2


def test_a_failure_ends_it_with_its_sentence(waiting, engine):
    waiting.sweep("age", (30, 60))
    engine.answer(Failed(engine.requests[-1].generation, "It broke."))
    assert (waiting.state, waiting.is_sweeping) == ("failed", False)
    assert waiting.failure.message == "It broke."
    assert len(engine.requests) == 1


def test_a_slider_that_is_moved_meanwhile_is_followed_afterwards(waiting, engine):
    waiting.live = True
    engine.answer(whole(engine, 44))
    engine.requests.clear()
    waiting.sweep("age", (30, 60))
    waiting.set_control("ventricles", 30)
    assert len(engine.requests) == 1
    engine.answer(whole(engine, 30))
    # The sweep is of what was set when it began.
    assert engine.requests[-1].controls["ventricles"] == 20
    engine.answer(whole(engine, 60))
    assert len(engine.requests) == 3
    assert engine.requests[-1].controls["ventricles"] == 30
    assert waiting.is_busy


def test_another_patient_ends_it(waiting, engine):
    waiting.sweep("age", (30, 60))
    waiting.set_study(patient())
    assert (waiting.state, waiting.is_sweeping) == ("idle", False)


def test_a_new_request_takes_its_place(waiting, engine):
    waiting.sweep("age", (30, 60))
    waiting.impute()
    assert not waiting.is_sweeping
    engine.answer(whole(engine, 44))
    assert waiting.results.provenance["controls"] == {"age": 44}


# ---- files -------------------------------------------------------------------------------


def test_a_sweep_is_written_as_4d_files_that_are_marked(script, swept, tmp_path):
    files = save_sweep(swept, tmp_path / "out")
    assert [file.name for file in files] == [*(f"{o}.nii.gz" for o in OUTPUTS), "provenance.json"]
    image = nibabel.load(files[0])
    assert image.shape == (14, 15, 8, 4)
    np.testing.assert_array_equal(
        np.moveaxis(image.get_fdata(dtype=np.float32), -1, 0), swept.arrays["counterfactual_T1"]
    )
    np.testing.assert_allclose(image.affine, script.reference.affine, atol=1e-5)
    description = bytes(image.header["descrip"]).rstrip(b"\0").decode()
    assert description == (
        "SYNTHETIC | Research use; not for diagnosis | axis 4: Ventricles 20 to 35 ml"
    )
    # The fourth axis counts millilitres from the first value on.
    assert float(image.header["toffset"]) == 20
    assert float(image.header.get_zooms()[3]) == 5
    embedded = json.loads(image.header.extensions[0].get_content())
    assert embedded["sweep"]["values"] == list(VENTRICLES)
    record = json.loads(files[-1].read_text())
    assert record["SYNTHETIC"] is True
    assert record["sweep"]["values"] == list(VENTRICLES)
    assert set(record["files"]) == {file.name for file in files[:-1]}


def test_files_of_the_same_names_are_numbered_refused_or_replaced(swept, tmp_path):
    save_sweep(swept, tmp_path)
    assert save_sweep(swept, tmp_path)[0].name == "counterfactual_T1_2.nii.gz"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UnusableFile, match="exists already"):
        save_sweep(swept, tmp_path, existing="refuse")
    assert sorted(tmp_path.iterdir()) == before
    save_sweep(swept, tmp_path, existing="replace")
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_left_of_a_sweep_that_cannot_be_written(swept, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "napari_medsyn.exploration.sweep_files.write_sidecar",
        lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")),
    )
    with pytest.raises(UnusableFile, match="No space left"):
        save_sweep(swept, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_uneven_or_nameless_steps_are_counted(script, tmp_path):
    for control, values in (("ventricles", (20, 21, 40)), ("sex", ("F", "M"))):
        files = save_sweep(swept_by(script, control, values), tmp_path / control)
        header = nibabel.load(files[0]).header
        assert (float(header["toffset"]), float(header.get_zooms()[3])) == (0, 1)
