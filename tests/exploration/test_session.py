from __future__ import annotations

import json

import numpy as np
import pytest
from tests._fakes import FAMILIES, make_package, make_scan

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.exploration.engines.in_process import InProcessEngine
from napari_medsyn.exploration.requests import (
    Failed,
    Finished,
    PreparationOptions,
    Progress,
    SlabReady,
    Stopped,
    Viewport,
)
from napari_medsyn.exploration.session import Session
from napari_medsyn.registry.catalogue import Catalogue


class FakeEngine:
    """Remembers what it is asked for; answers when the test says so."""

    def __init__(self):
        self.requests = []
        self.viewports = []
        self.cancelled = 0
        self.closed = 0
        self._hear = None

    def submit(self, request, on_event):
        self.requests.append(request)
        self._hear = on_event

    def look_at(self, viewport):
        self.viewports.append(viewport)

    def cancel(self):
        self.cancelled += 1

    def close(self):
        self.closed += 1

    def answer(self, event):
        self._hear(event)


class Listener:
    """The signals that a session emitted, in order, by name."""

    NAMES = (
        "study_changed", "model_changed", "controls_changed", "progressed", "slab_ready",
        "finished", "failed", "stopped", "state_changed",
    )  # fmt: skip

    def __init__(self, session):
        self.heard = []
        for name in self.NAMES:
            getattr(session, name).connect(self._listener(name), check_nargs=False)

    def _listener(self, name):
        return lambda *values: self.heard.append((name, *values))

    @property
    def names(self):
        return [name for name, *_ in self.heard]


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def session(engine, package):
    made = Session(engine, Catalogue([(package.parent, "user")]))
    yield made
    made.close()


@pytest.fixture
def ready(session):
    """A session that can impute FLAIR."""
    session.add_scan(make_scan("T1"))
    session.add_scan(make_scan("T2"))
    session.choose_model("fake-brain")
    return session


def whole(generation):
    return Finished(generation, {"imputed_FLAIR": np.ones((2, 2, 2), np.float32)}, {"seed": 0})


# ---- scans and model -------------------------------------------------------------------


def test_an_empty_session_says_what_to_do(session):
    assert session.readiness().reason == "Open a scan, or try the sample."
    assert session.reference is None
    assert session.state == "idle"
    with pytest.raises(UnusableStudy, match="Open a scan"):
        session.impute()


def test_scans_come_go_and_change_modality(session):
    heard = Listener(session)
    scan = make_scan("")
    session.add_scan(scan)
    session.set_modality(scan.id, "T1")
    assert session.study.modalities == ("T1",)
    assert session.study.scans[0].id == scan.id
    session.remove_scan(scan.id)
    assert len(session.study) == 0
    assert heard.names == ["study_changed"] * 3


def test_a_second_scan_of_a_modality_is_refused_and_changes_nothing(session):
    session.add_scan(make_scan("T1"))
    other = make_scan("T2")
    session.add_scan(other)
    heard = Listener(session)
    with pytest.raises(UnusableStudy, match="both called T1"):
        session.set_modality(other.id, "T1")
    assert session.study.modalities == ("T1", "T2")
    assert heard.heard == []


def test_a_scan_that_is_gone_cannot_be_named(session):
    with pytest.raises(UnusableStudy, match="no longer part of the study"):
        session.set_modality("gone", "T1")


def test_the_reference_is_the_first_scan_that_the_model_reads(session):
    strange, known = make_scan("CT"), make_scan("T2")
    session.add_scan(strange)
    session.add_scan(known)
    assert session.reference is strange
    session.choose_model("fake-brain")
    assert session.reference is known


def test_choosing_a_model_brings_its_controls(ready):
    assert ready.card.id == "fake-brain"
    assert ready.controls == {
        "temperature": 0.5,
        "samples": 8,
        "seed": 0,
        "mood": "good",
        "present": ("T1", "T2"),
        "targets": ("FLAIR",),
    }
    with pytest.raises(TypeError):
        ready.controls["seed"] = 1


def test_an_unknown_model_is_refused_and_the_old_one_stays(ready):
    with pytest.raises(UnusableModel, match="no model 'other'"):
        ready.choose_model("other")
    assert ready.card.id == "fake-brain"


def test_another_model_keeps_the_values_it_takes(ready, package):
    make_package(package.parent / "second", id="second")
    ready.set_control("temperature", 0.25)
    ready.choose_model("second")
    assert ready.controls["temperature"] == 0.25
    assert not ready.can_undo


# ---- controls, undo --------------------------------------------------------------------


def test_a_control_is_checked_before_it_is_set(ready):
    heard = Listener(ready)
    with pytest.raises(UnusableModel, match="samples 99 is outside 1 to 32"):
        ready.set_control("samples", 99)
    assert ready.controls["samples"] == 8
    assert heard.heard == []


def test_a_control_without_a_model_is_refused(session):
    with pytest.raises(UnusableModel, match="choose a model"):
        session.set_control("samples", 1)


def test_setting_the_same_value_says_nothing(ready):
    heard = Listener(ready)
    ready.set_control("samples", 8)
    assert heard.heard == []


def test_undo_brings_values_and_switches_back_and_redo_again(ready):
    ready.set_control("samples", 2)
    ready.use_modality("T2", False)
    ready.undo()
    assert (ready.controls["samples"], ready.uses("T2")) == (2, True)
    ready.undo()
    assert ready.controls["samples"] == 8
    assert not ready.can_undo
    ready.redo()
    ready.redo()
    assert (ready.controls["samples"], ready.uses("T2")) == (2, False)
    assert not ready.can_redo


def test_undo_at_the_beginning_says_nothing(ready):
    heard = Listener(ready)
    ready.undo()
    assert heard.heard == []


def test_a_switch_moves_a_modality_from_read_to_imputed(ready):
    ready.use_modality("T2", False)
    assert ready.controls["present"] == ("T1",)
    assert ready.controls["targets"] == ("T2", "FLAIR")
    ready.set_control("present", ("T2",))
    assert (ready.uses("T1"), ready.uses("T2")) == (False, True)


def test_wished_targets_hold_until_taken_back(ready):
    ready.use_modality("T2", False)
    ready.set_control("targets", ("FLAIR",))
    assert ready.controls["targets"] == ("FLAIR",)
    ready.set_control("targets", None)
    assert ready.controls["targets"] == ("T2", "FLAIR")


def test_reset_is_one_step_of_undo(ready):
    ready.set_control("samples", 2)
    ready.use_modality("T2", False)
    ready.reset_controls()
    assert (ready.controls["samples"], ready.uses("T2")) == (8, True)
    ready.undo()
    assert (ready.controls["samples"], ready.uses("T2")) == (2, False)


# ---- computing -------------------------------------------------------------------------


def test_impute_asks_the_engine_for_what_is_set(ready, engine):
    ready.set_viewport(2, 5)
    ready.set_options(PreparationOptions(register="never"))
    ready.set_device("cpu")
    ready.impute()
    (request,) = engine.requests
    assert request.viewport == Viewport(2, 5)
    assert request.options.register == "never"
    assert request.device == "cpu"
    assert request.outputs == ready.outputs()


def test_events_become_signals_and_states(ready, engine):
    heard = Listener(ready)
    ready.impute()
    g = engine.requests[0].generation
    slab = SlabReady(g, 2, 0, 1, {})
    engine.answer(Progress(g, 0, 0, "Preparing", "preparing"))
    engine.answer(Progress(g, 0, 9, "Imputing"))
    engine.answer(slab)
    engine.answer(whole(g))
    assert heard.names == [
        "state_changed", "progressed", "state_changed", "progressed", "slab_ready",
        "state_changed", "finished",
    ]  # fmt: skip
    assert [v for name, *v in heard.heard if name == "state_changed"] == [
        ["preparing"], ["running"], ["idle"],
    ]  # fmt: skip
    assert heard.heard[4][1] is slab
    assert ready.results.generation == g


def test_results_know_the_scan_on_whose_grid_they_are(ready, engine):
    ready.impute()
    first = ready.reference
    engine.answer(whole(engine.requests[0].generation))
    ready.remove_scan(first.id)
    assert ready.reference is not first
    assert ready.results_reference is first


def test_without_live_a_change_computes_nothing(ready, engine):
    ready.set_control("samples", 2)
    assert engine.requests == []


def test_live_computes_each_change_at_once_with_growing_generations(ready, engine):
    ready.live = True
    for change in (
        lambda: ready.set_control("temperature", 0.1),
        lambda: ready.use_modality("T2", False),
        ready.undo,
    ):
        engine.answer(SlabReady(engine.requests[-1].generation, 2, 0, 1, {}))
        change()
    temperatures = [request.controls["temperature"] for request in engine.requests]
    assert temperatures == [0.5, 0.1, 0.1, 0.1]
    generations = [request.generation for request in engine.requests]
    assert generations == sorted(set(generations))


def test_a_drag_shows_pictures_on_its_way_and_ends_with_the_last_value(ready, engine):
    ready.live = True
    for value in (0.1, 0.2, 0.3):
        ready.set_control("temperature", value)
    assert len(engine.requests) == 1  # its picture is under way
    engine.answer(SlabReady(engine.requests[0].generation, 2, 0, 1, {}))
    assert [r.controls["temperature"] for r in engine.requests] == [0.5, 0.3]
    engine.answer(whole(engine.requests[1].generation))
    assert len(engine.requests) == 2


def test_cancel_forgets_the_change_that_waits(ready, engine):
    ready.live = True
    ready.set_control("temperature", 0.1)
    ready.cancel()
    engine.answer(SlabReady(engine.requests[0].generation, 2, 0, 1, {}))
    assert len(engine.requests) == 1
    assert ready.state == "idle"


def test_a_late_answer_to_an_old_request_is_dropped(ready, engine):
    ready.live = True
    old = engine.requests[0].generation
    engine.answer(SlabReady(old, 2, 0, 1, {}))
    ready.set_control("temperature", 0.1)
    heard = Listener(ready)
    engine.answer(SlabReady(old, 2, 0, 1, {}))
    engine.answer(whole(old))
    engine.answer(Stopped(old))
    engine.answer(Failed(old, "late"))
    assert heard.heard == []
    assert ready.results is None
    assert ready.state == "preparing"


def test_live_with_nothing_to_compute_stops_what_runs(ready, engine):
    ready.live = True
    ready.use_modality("T1", False)
    ready.use_modality("T2", False)
    assert ready.state == "idle"
    assert engine.cancelled == 1


def test_cancel_is_idle_at_once_and_keeps_the_results(ready, engine):
    ready.impute()
    engine.answer(whole(engine.requests[0].generation))
    ready.impute()
    running = engine.requests[1].generation
    heard = Listener(ready)
    ready.cancel()
    assert heard.names == ["state_changed", "stopped"]
    assert ready.state == "idle"
    engine.answer(whole(running))
    assert ready.results.generation == engine.requests[0].generation


def test_cancel_when_idle_says_nothing(ready, engine):
    heard = Listener(ready)
    ready.cancel()
    assert heard.heard == []
    assert engine.cancelled == 0


def test_a_changed_study_or_model_drops_what_runs(ready, engine):
    ready.impute()
    ready.add_scan(make_scan("FLAIR"))
    assert ready.state == "idle"
    ready.impute()
    ready.choose_model("fake-brain")
    assert ready.state == "idle"
    assert engine.cancelled == 2


def test_failure_is_told_with_its_detail_and_forgotten_with_the_next_request(ready, engine):
    heard = Listener(ready)
    ready.impute()
    engine.answer(Failed(engine.requests[0].generation, "It broke.", "trace"))
    assert heard.heard[-1] == ("failed", "It broke.", "trace")
    assert ready.state == "failed"
    assert ready.failure.message == "It broke."
    ready.impute()
    assert ready.failure is None


def test_looking_elsewhere_is_told_to_the_engine_only_while_it_computes(ready, engine):
    ready.set_viewport(2, 3)
    assert engine.viewports == []
    ready.impute()
    ready.set_viewport(2, 4)
    ready.set_viewport(2, 4)
    assert engine.viewports == [Viewport(2, 4)]


def test_events_go_through_dispatch(engine, package):
    waiting = []
    session = Session(engine, Catalogue([(package.parent, "user")]), dispatch=waiting.append)
    session.add_scan(make_scan("T1"))
    session.choose_model("fake-brain")
    session.impute()
    engine.answer(whole(engine.requests[0].generation))
    assert session.results is None
    waiting.pop()()
    assert session.results is not None


def test_nothing_is_heard_of_a_closed_session(ready, engine):
    ready.impute()
    heard = Listener(ready)
    ready.close()
    ready.close()
    engine.answer(whole(engine.requests[0].generation))
    assert heard.heard == []
    assert engine.closed == 1


def test_two_sessions_do_not_hear_each_other(package):
    engines = FakeEngine(), FakeEngine()
    catalogue = Catalogue([(package.parent, "user")])
    one, other = (Session(engine, catalogue) for engine in engines)
    for session in (one, other):
        session.add_scan(make_scan("T1"))
        session.choose_model("fake-brain")
    heard = Listener(other)
    one.set_control("samples", 2)
    one.impute()
    engines[0].answer(whole(engines[0].requests[0].generation))
    assert heard.heard == []
    assert other.controls["samples"] == 8


# ---- with the engine of scripts ----------------------------------------------------------


@pytest.fixture
def script(package, fake_preparation):
    session = Session(InProcessEngine(FAMILIES), Catalogue([(package.parent, "user")]))
    session.add_scan(make_scan("T1"))
    session.choose_model("fake-brain")
    session.set_device("cpu")
    yield session
    session.close()


def test_a_script_has_its_results_when_impute_returns(script):
    script.impute()
    assert script.state == "idle"
    assert set(script.results.arrays) == set(script.outputs())


def test_saving_without_a_result_is_refused(script, tmp_path):
    with pytest.raises(UnusableStudy, match="no result to save"):
        script.save(tmp_path)


def test_saving_writes_the_results_on_the_patients_grid(script, tmp_path):
    import nibabel

    script.set_kinds(("imputed",))
    script.impute()
    files = script.save(tmp_path / "out")
    assert [file.name for file in files] == [
        "imputed_T2.nii.gz", "imputed_FLAIR.nii.gz", "provenance.json",
    ]  # fmt: skip
    image = nibabel.load(files[0])
    np.testing.assert_array_equal(image.affine, script.reference.affine)
    np.testing.assert_array_equal(image.get_fdata(), script.results.arrays["imputed_T2"])
    assert json.loads(files[-1].read_text())["model"] == "fake-brain"


def test_a_handler_that_moves_a_slider_gets_the_newest_result(script):
    def move(slab):
        if script.controls["temperature"] == 0.5:
            script.set_control("temperature", 0.25)

    script.slab_ready.connect(move)
    script.live = True
    assert script.results.provenance["controls"]["temperature"] == 0.25
    assert script.state == "idle"


def test_an_input_that_the_model_does_not_have_cannot_be_switched(ready):
    with pytest.raises(UnusableModel, match="does not read 'CT'; it reads T1, T2, FLAIR"):
        ready.set_control("present", ("T1", "CT"))


def test_a_change_that_waits_is_dropped_when_live_ends(ready, engine):
    ready.live = True
    ready.set_control("temperature", 0.1)  # waits for the picture under way
    ready.live = False
    for modality in ready.present:
        ready.use_modality(modality, False)  # by now there is nothing to compute
    engine.answer(SlabReady(engine.requests[-1].generation, 2, 0, 1, {}))
    assert len(engine.requests) == 1


def test_after_a_request_made_within_an_answer_the_next_change_waits_for_it(ready, engine):
    ready.slab_ready.connect(lambda _: ready.impute())
    ready.live = True
    engine.answer(SlabReady(engine.requests[-1].generation, 2, 0, 1, {}))
    assert len(engine.requests) == 2
    ready.set_control("temperature", 0.1)
    assert len(engine.requests) == 2
