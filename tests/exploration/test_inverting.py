"""The patient's own values in a session: stated, read, found, and forgotten again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests import _builders, _fakes
from tests.exploration._people import DARKER, FAMILIES, FOUND, make_people
from tests.exploration.test_session import FakeEngine, Listener

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.exploration.engines.in_process import InProcessEngine
from napari_medsyn.exploration.requests import Finished, PreparationOptions, SlabReady
from napari_medsyn.exploration.session import Session
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.study import Scan, Study

OUTPUTS = ("counterfactual_T1", "difference_T1", "jacobian_T1")

#: What the slider of each covariate stands at after an inversion: on its steps.
OWN = {"age": 44.0, "sex": "F", "ventricles": 20.0, "lesions": 1.0, "cohort": "ixi"}


def patient(**facts) -> Study:
    """An oblique T1 with thick slices around the fake model's grid, and its brain."""
    shape = (14, 15, 8)
    affine = _builders.make_affine("LPS", (1.1, 1.2, 2.5), (7, 9, -9), tilt_degrees=8)
    world = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    brain = np.linalg.norm(world, axis=-1) < 4.5
    t1 = Scan(_builders.make_voxels(shape) + 1, affine, modality="T1", facts=facts)
    return Study((t1, Scan(brain.astype(np.uint8), affine, modality="label", name="brain")))


@pytest.fixture
def people(tmp_path):
    return make_people(tmp_path / "models" / "people")


def session_of(engine, people) -> Session:
    session = Session(engine, Catalogue([(people.parent, "user")]))
    session.set_options(PreparationOptions(register="never"))
    session.set_device("cpu")
    session.choose_model("people")
    return session


@pytest.fixture
def script(people):
    """A session that computes at once."""
    session = session_of(InProcessEngine(FAMILIES), people)
    yield session
    session.close()


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def waiting(engine, people):
    """A session with a patient, whose engine answers when the test says so."""
    session = session_of(engine, people)
    session.set_study(patient())
    yield session
    session.close()


def found(engine, **own) -> Finished:
    """The answer to the newest request, an inversion."""
    findings = {"psnr_db": 28.5, "own": {**FOUND, **own}, "warning": ""}
    return Finished(engine.requests[-1].generation, {}, {}, (), findings)


# ---- what is asked for -----------------------------------------------------------------


def test_without_a_scan_people_of_nobody_are_generated(script):
    assert not script.can_invert
    with pytest.raises(UnusableStudy, match="no scan to invert"):
        script.invert()
    script.set_control("age", 70)
    script.impute()
    assert script.own is None
    (array,) = script.results.arrays.values()
    np.testing.assert_allclose(array, 0.7, rtol=1e-6)
    assert script.results.provenance["controls"]["task"] == "generate"


def test_a_scan_is_inverted_first(waiting, engine):
    assert waiting.can_invert
    waiting.impute()
    (request,) = engine.requests
    assert request.outputs == ("reconstruction_T1", "residual_T1")
    assert request.controls["task"] == "invert"
    assert request.controls["own"] == {}
    assert request.controls["present"] == ("T1",)


def test_then_its_counterfactual_is_computed(waiting, engine):
    waiting.invert()
    engine.answer(found(engine))
    waiting.set_control("age", 70)
    waiting.impute()
    request = engine.requests[-1]
    assert request.outputs == OUTPUTS
    assert request.controls["task"] == "counterfactual"
    assert request.controls["own"] == OWN
    assert request.controls["age"] == 70


def test_kinds_of_a_counterfactual_may_be_chosen(waiting, engine):
    waiting.invert()
    engine.answer(found(engine))
    waiting.set_kinds(("difference", "imputed"))
    assert waiting.outputs() == ("difference_T1",)
    waiting.set_kinds(("imputed",))
    assert waiting.outputs() == OUTPUTS


def test_with_the_scan_switched_off_it_is_nobody_again(waiting, engine):
    waiting.invert()
    engine.answer(found(engine))
    waiting.use_modality("T1", False)
    assert not waiting.can_invert
    assert waiting.outputs() == ("generated_T1",)
    assert "own" not in waiting.controls
    waiting.use_modality("T1", True)
    assert waiting.own == OWN


# ---- what an inversion finds ------------------------------------------------------------


def test_the_covariates_move_to_what_was_found_in_one_step_of_undo(waiting, engine):
    waiting.set_control("seed", 5)
    waiting.set_control("age", 80)
    waiting.invert()
    heard = Listener(waiting)
    owned = []
    waiting.own_changed.connect(lambda: owned.append(waiting.own))
    waiting.finished.connect(lambda _: owned.append("finished"))
    engine.answer(found(engine))
    assert owned == [OWN, "finished"]
    assert heard.names.count("controls_changed") == 1
    assert {name: waiting.controls[name] for name in OWN} == OWN
    assert waiting.controls["seed"] == 5
    assert waiting.controls["own"] == OWN
    assert waiting.findings["psnr_db"] == 28.5
    waiting.undo()
    assert waiting.controls["age"] == 80
    assert waiting.own == OWN


def test_an_estimate_beyond_a_control_is_brought_within(waiting, engine):
    waiting.invert()
    engine.answer(found(engine, ventricles=130.0, age=float("nan"), sex="?"))
    assert waiting.own["ventricles"] == 100
    assert waiting.own["age"] is None
    assert waiting.own["sex"] is None
    waiting.impute()
    assert engine.requests[-1].controls["own"]["age"] is None


def test_what_is_known_is_told_to_the_model_and_kept(waiting, engine):
    waiting.set_known({"age": 43.7, "sex": "M"})
    waiting.invert()
    assert engine.requests[-1].controls["own"] == {"age": 43.7, "sex": "M"}
    engine.answer(found(engine))
    assert waiting.own == {**OWN, "age": 43.7, "sex": "M"}


def test_the_files_say_age_and_sex_and_the_user_has_the_last_word(waiting):
    waiting.set_study(patient(age=61.0, sex="M"))
    assert waiting.known == {"age": 61.0, "sex": "M"}
    waiting.set_known({"age": 60, "sex": None})
    assert waiting.known == {"age": 60.0}


def test_a_fact_that_the_model_cannot_take_is_said_and_left_out(waiting):
    waiting.set_study(patient(age=95.0))
    assert waiting.known == {}
    assert waiting.readiness().ok
    (said,) = waiting.readiness().warnings
    assert said == "The scan says age 95.0, which People does not take; it is estimated instead."
    waiting.set_known({"age": None})
    assert waiting.readiness().warnings == ()


@pytest.mark.parametrize(
    ("values", "reason"),
    [({"age": 7}, "age 7.0 is outside 20 to 90"), ({"seed": 1}, "no covariate 'seed'")],
)
def test_what_cannot_be_is_not_stated(waiting, values, reason):
    with pytest.raises(UnusableModel, match=reason):
        waiting.set_known(values)
    assert waiting.known == {}


# ---- what forgets it --------------------------------------------------------------------


@pytest.mark.parametrize("change", ["study", "known", "model"])
def test_own_values_are_forgotten_with_what_they_hold_for(waiting, engine, change):
    waiting.invert()
    engine.answer(found(engine))
    heard = []
    waiting.own_changed.connect(lambda: heard.append(waiting.own))
    match change:
        case "study":
            waiting.set_study(patient())
        case "known":
            waiting.set_known({"sex": "M"})
        case "model":
            waiting.choose_model("people")
    assert waiting.own is None
    assert waiting.findings == {}
    assert "own" not in waiting.controls
    assert heard == [None]


def test_what_is_stated_stays_while_scans_of_the_patient_come_and_goes_with_the_last(waiting):
    waiting.set_known({"age": 50})
    waiting.add_scan(_fakes.make_scan("FLAIR"))
    assert waiting.known == {"age": 50.0}
    waiting.set_study(patient())
    assert waiting.known == {}


def test_stating_something_else_stops_the_inversion(waiting, engine):
    waiting.invert()
    waiting.set_known({"age": 50})
    assert (waiting.state, engine.cancelled) == ("idle", 1)
    engine.answer(found(engine))
    assert waiting.own is None


# ---- live --------------------------------------------------------------------------------


def test_live_follows_the_sliders_but_begins_no_inversion(waiting, engine):
    waiting.live = True
    waiting.set_control("age", 70)
    assert engine.requests == []
    waiting.invert()
    waiting.set_control("age", 71)
    assert waiting.is_busy
    assert len(engine.requests) == 1
    engine.answer(found(engine))
    # What was found is shown at once: the scan itself, at the patient's own values.
    assert engine.requests[-1].controls["task"] == "counterfactual"
    assert engine.requests[-1].controls["age"] == 44
    engine.answer(SlabReady(engine.requests[-1].generation, 2, 0, 1, {}))
    waiting.set_control("age", 60)
    assert engine.requests[-1].controls["age"] == 60


def test_a_slider_does_not_end_an_inversion_that_is_made_once_more(waiting, engine):
    waiting.invert()
    engine.answer(found(engine))
    waiting.live = True
    engine.answer(SlabReady(engine.requests[-1].generation, 2, 0, 1, {}))
    waiting.invert()
    waiting.set_control("age", 70)
    engine.answer(SlabReady(engine.requests[-1].generation, 2, 0, 1, {}))
    assert engine.requests[-1].controls["task"] == "invert"
    waiting.use_modality("T1", False)
    engine.answer(SlabReady(engine.requests[-1].generation, 2, 0, 1, {}))
    assert engine.requests[-1].controls["task"] == "generate"


# ---- through the engine ------------------------------------------------------------------


def test_at_the_patients_own_values_the_counterfactual_is_the_scan_itself(script):
    script.set_study(patient())
    script.impute()
    assert set(script.results.arrays) == {"reconstruction_T1", "residual_T1"}
    script.impute()
    voxels = script.study.scans[0].voxels
    np.testing.assert_array_equal(script.results.arrays["counterfactual_T1"], voxels)
    assert not script.results.arrays["difference_T1"].any()
    script.set_control("ventricles", 30)
    script.impute()
    difference = script.results.arrays["difference_T1"]
    steps = script.results.provenance["steps"]
    high = next(step["high"] for step in steps if step["step"] == "intensity")
    assert difference.min() == pytest.approx(10 * DARKER * high, rel=1e-3)
    script.undo()
    script.impute()
    assert not script.results.arrays["difference_T1"].any()


def test_the_provenance_is_enough_to_make_it_again(script):
    script.set_study(patient())
    script.set_known({"sex": "M"})
    script.impute()
    told = script.results.provenance
    assert told["findings"]["psnr_db"] == 28.5
    assert told["controls"]["own"] == {"sex": "M"}
    script.set_control("age", 70)
    script.impute()
    told = json.loads(json.dumps(script.results.provenance))
    assert told["SYNTHETIC"] is True
    assert told["controls"]["task"] == "counterfactual"
    assert told["controls"]["own"] == {**OWN, "sex": "M"}
    assert told["controls"]["age"] == 70


def test_a_family_that_gives_no_edit_fails_with_a_sentence(script):
    script.set_study(patient())
    script.impute()
    script.set_control("mood", "no edit")
    script.impute()
    assert script.state == "failed"
    assert "says nothing of how a scan is to be changed" in script.failure.message


def test_a_saved_counterfactual_is_marked_and_has_the_modality(script, tmp_path):
    import nibabel

    from napari_medsyn.scans.reading import read_scan

    script.set_study(patient())
    script.impute()
    script.set_control("age", 60)
    script.impute()
    files = script.save(tmp_path / "out")
    assert [file.name for file in files] == [*(f"{o}.nii.gz" for o in OUTPUTS), "provenance.json"]
    assert bytes(nibabel.load(files[0]).header["descrip"]).startswith(b"SYNTHETIC T1")
    again = read_scan(files[0])
    assert again.is_synthetic
    np.testing.assert_allclose(again.affine, script.reference.affine, atol=1e-5)


def test_unknown_covariates_pass_through_controls_undo_and_provenance(script):
    script.set_control("age", None)
    script.impute()
    assert script.results.provenance["controls"]["age"] is None
    script.undo()
    assert script.controls["age"] == 50
    with pytest.raises(UnusableModel, match="seed None"):
        script.set_control("seed", None)


def test_a_card_without_covariates_makes_no_counterfactuals(tmp_path):
    package = make_people(tmp_path / "models" / "people", covariates=[])
    session = session_of(FakeEngine(), package)
    session.set_study(patient())
    assert not session.can_invert
    assert "task" not in session.controls
    session.close()
