from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
import pytest
from tests._fakes import FAMILIES, SHAPE, answer_of, make_scan

from napari_medsyn.errors import EngineError
from napari_medsyn.exploration.engines import shared_arrays
from napari_medsyn.exploration.engines.in_process import InProcessEngine
from napari_medsyn.exploration.engines.process import PATIENCE_S, ProcessEngine
from napari_medsyn.exploration.requests import (
    Failed,
    Finished,
    PreparationOptions,
    Progress,
    Request,
    SlabReady,
    Stopped,
    Viewport,
)
from napari_medsyn.scans.study import Study

#: The scans lie on the model's grid and show nothing but brain.
OPTIONS = PreparationOptions(register="never", brain_mask="never")

ROOT = Path(__file__).parents[2]

#: Long for a busy computer; nothing here waits on it unless a test fails.
LIMIT_S = 30.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses signals")


@pytest.fixture(scope="module", autouse=True)
def _children_find_tests():
    """Children of this module's engines can import `tests`."""
    with pytest.MonkeyPatch.context() as patch:
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        yield


@pytest.fixture(scope="module")
def engine():
    """One engine for all tests that leave it as it was: starting a child takes a while."""
    made = ProcessEngine(FAMILIES)
    yield made
    made.close()


@pytest.fixture
def own_engine():
    """An engine that a test may break."""
    made = ProcessEngine(FAMILIES)
    yield made
    made.close()


class Ear:
    """Takes events on the engine's thread, gives them to the test's."""

    def __init__(self):
        self._events = SimpleQueue()
        self.heard = []

    def __call__(self, event):
        self._events.put(event)

    def until(self, *kinds):
        """Wait for an event of one of `kinds`."""
        while True:
            event = self._events.get(timeout=LIMIT_S)
            self.heard.append(event)
            if isinstance(event, kinds):
                return event
            assert not isinstance(event, Finished | Failed | Stopped), event

    def ending(self):
        return self.until(Finished, Failed, Stopped)

    def silent_for(self, seconds):
        """Whether nothing more comes."""
        try:
            self.heard.append(self._events.get(timeout=seconds))
        except Empty:
            return True
        return False


@pytest.fixture
def ask(study, package):
    def make(generation=1, mood="good", scans=study, **changes) -> Request:
        controls = {
            "present": scans.modalities,
            "targets": ("T1", "FLAIR"),
            "temperature": 0.5,
            "samples": 8,
            "seed": 3,
            "mood": mood,
        }
        outputs = ("imputed_FLAIR", "uncertainty_FLAIR", "residual_T1")
        request = Request(
            generation, scans, package, controls, outputs, Viewport(2, 6), OPTIONS, "cpu"
        )
        return replace(request, **changes)

    return make


def compute(engine, request):
    ear = Ear()
    engine.submit(request, ear)
    ear.ending()
    return ear.heard


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.01)


def shared_files():
    return {path.name for path in shared_arrays._MEMORY_FOLDER.glob("medsyn-*")}


def test_the_child_gives_what_the_engine_in_this_process_gives(engine, ask):
    here, there = [], compute(engine, ask())
    InProcessEngine(FAMILIES).submit(ask(), here.append)
    assert isinstance(there[-1], Finished), there[-1]
    assert tuple(there[-1].arrays) == tuple(here[-1].arrays)
    for name, array in here[-1].arrays.items():
        np.testing.assert_array_equal(there[-1].arrays[name], array)
    # Threads are torch's, which other tests have imported into this process and no child has.
    told = [
        {key: value for key, value in whole.provenance.items() if key not in ("created", "threads")}
        for whole in (here[-1], there[-1])
    ]
    assert told[0] == told[1]
    slabs = [[e for e in events if isinstance(e, SlabReady)] for events in (here, there)]
    assert [(s.start, s.stop) for s in slabs[0]] == [(s.start, s.stop) for s in slabs[1]]
    for one, other in zip(*slabs, strict=True):
        np.testing.assert_array_equal(one.arrays["imputed_FLAIR"], other.arrays["imputed_FLAIR"])


def test_the_first_event_says_that_the_engine_starts(own_engine, ask):
    first, *_ = compute(own_engine, ask())
    assert isinstance(first, Progress)
    assert (first.phase, first.stage) == ("Starting the engine", "preparing")


def test_this_process_imports_no_torch_and_the_child_no_qt(ask, package, tmp_path):
    """The child of a real engine is asked what it has imported."""
    code = (
        "import sys, threading\n"
        "import napari_medsyn.exploration.engines.process as p, napari_medsyn.exploration.session\n"
        "heavy = ['torch', 'SimpleITK', 'nibabel', 'scipy', 'qtpy', 'napari']\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "import napari_medsyn.exploration.engines.child\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


def test_one_child_serves_many_requests_and_takes_each_scan_once(own_engine, ask, monkeypatch):
    lent = []
    create = shared_arrays.SharedBuffer.create.__func__

    def counted(cls, size):
        lent.append(size)
        return create(cls, size)

    monkeypatch.setattr(shared_arrays.SharedBuffer, "create", classmethod(counted))
    first = compute(own_engine, ask())[-1]
    pid = own_engine.child_pid
    second = compute(own_engine, ask(2, controls={**ask().controls, "temperature": 0.0}))[-1]
    assert own_engine.child_pid == pid
    np.testing.assert_allclose(first.arrays["imputed_FLAIR"][3, 3, 6], answer_of("FLAIR", 6))
    np.testing.assert_allclose(second.arrays["imputed_FLAIR"][3, 3, 6], answer_of("FLAIR", 6, 0))
    # Two scans once, and the outputs of two requests.
    voxels = 4 * int(np.prod(SHAPE))
    assert lent == [voxels, voxels, 3 * voxels, 3 * voxels]


def test_an_earlier_result_is_not_written_over(engine, ask):
    first = compute(engine, ask())[-1].arrays["imputed_FLAIR"]
    kept = first.copy()
    compute(engine, ask(2, controls={**ask().controls, "temperature": 0.0}))
    np.testing.assert_array_equal(first, kept)
    assert not first.flags.writeable


def test_a_study_that_comes_back_is_sent_again(engine, ask):
    compute(engine, ask())
    compute(engine, ask(2, scans=Study((make_scan("T1"),))))
    assert isinstance(compute(engine, ask(3))[-1], Finished)


def test_scans_of_other_types_and_memory_orders_arrive_as_they_are(engine, ask):
    voxels = np.asfortranarray(make_scan("T1").voxels.astype(">i2"))
    scan = make_scan("T1", voxels=voxels)
    whole = compute(engine, ask(scans=Study((scan,))))[-1]
    assert isinstance(whole, Finished), whole
    plain = make_scan("T1", voxels=np.ascontiguousarray(voxels.astype(np.float64)))
    heard = []
    InProcessEngine(FAMILIES).submit(ask(scans=Study((plain,))), heard.append)
    expected = heard[-1].arrays["residual_T1"]
    assert expected.max() > 0.1
    np.testing.assert_allclose(whole.arrays["residual_T1"], expected, atol=1e-6)


def test_the_newest_request_wins(engine, ask):
    ears = [Ear() for _ in range(30)]
    for generation, ear in enumerate(ears):
        engine.submit(ask(generation, mood="slow"), ear)
    assert isinstance(ears[-1].ending(), Finished)
    for generation, ear in enumerate(ears[:-1]):
        assert ear.ending() == Stopped(generation)
        assert ear.silent_for(0)


def test_cancelling_stops_soon_and_the_child_lives_on(engine, ask):
    ear = Ear()
    engine.submit(ask(mood="slow"), ear)
    ear.until(SlabReady)
    pid = engine.child_pid
    engine.cancel()
    assert ear.ending() == Stopped(1)
    assert isinstance(compute(engine, ask(2))[-1], Finished)
    assert engine.child_pid == pid
    assert ear.silent_for(0)


def test_a_request_that_waits_its_turn_is_cancelled_without_a_kill(ask, own_engine):
    ear = Ear()
    own_engine.submit(ask(mood="slow"), Ear())
    wait_until(lambda: own_engine.child_pid is not None)
    pid = own_engine.child_pid
    own_engine.submit(ask(2, mood="slow"), ear)
    own_engine.cancel()
    assert ear.ending() == Stopped(2)
    time.sleep(1.5 * PATIENCE_S)
    assert isinstance(compute(own_engine, ask(3))[-1], Finished)
    assert own_engine.child_pid == pid


def test_a_listener_that_raises_does_not_stop_the_engine(own_engine, ask, caplog):
    def refuse(event):
        raise RuntimeError("a defect of the interface")

    own_engine.submit(ask(), refuse)
    assert isinstance(compute(own_engine, ask(2))[-1], Finished)
    assert "a defect of the interface" in caplog.text


def test_a_scan_that_cannot_be_sent_is_a_failure_and_no_silence(engine, ask):
    scan = make_scan("T1", facts={"reader": lambda: None})
    failed = compute(engine, ask(scans=Study((scan,))))[-1]
    assert isinstance(failed, Failed)
    assert "lambda" in failed.detail
    assert isinstance(compute(engine, ask(2))[-1], Finished)


def test_looking_elsewhere_while_the_engine_starts_counts(own_engine, ask):
    """The first event is told before the child is started, and so before the job is sent."""
    ear = Ear()

    def hear(event):
        if isinstance(event, Progress) and event.phase == "Starting the engine":
            own_engine.look_at(Viewport(2, 9))
        ear(event)

    own_engine.submit(ask(mood="slow"), hear)
    # Sent right after the job: before the child has read its second message, at the latest.
    slabs = [ear.until(SlabReady).start, ear.until(SlabReady).start]
    assert 9 in slabs


def test_a_temporary_folder_with_a_long_name_is_no_hindrance(
    own_engine, ask, monkeypatch, tmp_path
):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    monkeypatch.setattr("multiprocessing.util.get_temp_dir", lambda: str(folder))
    assert isinstance(compute(own_engine, ask())[-1], Finished)


def test_a_child_that_does_not_listen_is_killed(own_engine, ask, monkeypatch):
    ear = Ear()
    own_engine.submit(ask(mood="hang"), ear)
    wait_until(lambda: any(isinstance(e, Progress) and e.stage == "running" for e in drain(ear)))
    pid = own_engine.child_pid
    own_engine.cancel()
    assert ear.ending() == Stopped(1)
    wait_until(lambda: not is_alive(pid))
    assert isinstance(compute(own_engine, ask(2))[-1], Finished)


def drain(ear):
    ear.silent_for(0)
    return ear.heard


def test_a_request_after_cancel_survives_the_end_of_the_child(own_engine, ask):
    ear = Ear()
    own_engine.submit(ask(mood="hang"), ear)
    wait_until(lambda: any(isinstance(e, Progress) and e.stage == "running" for e in drain(ear)))
    own_engine.cancel()
    # Sent to a child that will never read it.
    assert isinstance(compute(own_engine, ask(2))[-1], Finished)


def test_a_crash_is_a_sentence_and_the_next_request_works(own_engine, ask):
    failed = compute(own_engine, ask(mood="crash"))[-1]
    assert isinstance(failed, Failed)
    assert failed.message == (
        "The engine stopped (it was killed, perhaps because memory ran out). Your scans and "
        "results are safe; it starts again with the next request."
    )
    assert isinstance(compute(own_engine, ask(2))[-1], Finished)


def test_a_child_that_is_killed_while_idle_is_replaced(own_engine, ask):
    compute(own_engine, ask())
    pid = own_engine.child_pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: own_engine.child_pid is None)
    assert isinstance(compute(own_engine, ask(2))[-1], Finished)


def test_a_defect_of_the_model_ends_the_request_but_not_the_child(engine, ask):
    failed = compute(engine, ask(mood="bug"))[-1]
    assert isinstance(failed, Failed)
    assert "ZeroDivisionError" in failed.message
    assert "_misbehave" in failed.detail
    pid = engine.child_pid
    assert isinstance(compute(engine, ask(2))[-1], Finished)
    assert engine.child_pid == pid


def test_a_child_that_cannot_start_is_a_sentence_with_what_it_printed(own_engine, ask, monkeypatch):
    monkeypatch.setattr(
        "napari_medsyn.exploration.engines.launching._MODULE", "napari_medsyn.no_such_module"
    )
    failed = compute(own_engine, ask())[-1]
    assert isinstance(failed, Failed)
    assert "The engine could not be started (exit code 1)." in failed.message
    assert "no_such_module" not in failed.message
    assert "no_such_module" in failed.detail
    monkeypatch.undo()
    assert threading.active_count() < 10


def test_without_room_for_shared_memory_there_is_a_sentence(own_engine, ask, monkeypatch):
    monkeypatch.setattr(
        "napari_medsyn.exploration.engines.shared_arrays.shutil.disk_usage",
        lambda _: type("Usage", (), {"free": 100}),
    )
    failed = compute(own_engine, ask())[-1]
    assert isinstance(failed, Failed)
    assert "there is no room for" in failed.message


def test_a_full_memory_folder_is_passed_over(own_engine, ask, monkeypatch, tmp_path):
    """As in a container with a /dev/shm of 64 MB: files go to the temporary folder."""
    real = shared_arrays.shutil.disk_usage
    used = []

    def usage(folder):
        used.append(folder)
        full = folder == shared_arrays._MEMORY_FOLDER
        return type("Usage", (), {"free": 0}) if full else real(folder)

    monkeypatch.setattr("napari_medsyn.exploration.engines.shared_arrays.shutil.disk_usage", usage)
    assert isinstance(compute(own_engine, ask())[-1], Finished)
    assert shared_arrays._MEMORY_FOLDER in used


def test_looking_elsewhere_brings_that_plane_next(engine, ask):
    ear = Ear()
    engine.submit(ask(mood="slow"), ear)
    first = ear.until(SlabReady)
    engine.look_at(Viewport(2, 2))
    second = ear.until(SlabReady)
    assert (first.start, second.start) == (6, 2)


def test_closing_ends_the_child_and_leaves_no_file_or_event(own_engine, ask):
    before = shared_files()
    ear = Ear()
    own_engine.submit(ask(mood="slow"), ear)
    ear.until(SlabReady)
    pid = own_engine.child_pid
    own_engine.close()
    assert not is_alive(pid)
    while not ear.silent_for(0.1):
        pass
    assert not any(isinstance(event, Finished | Failed) for event in ear.heard)
    del ear
    gc.collect()
    assert shared_files() <= before
    with pytest.raises(EngineError, match="closed"):
        own_engine.submit(ask(2), Ear())


def test_an_engine_that_is_forgotten_takes_its_child_with_it(ask):
    other = ProcessEngine(FAMILIES)
    compute(other, ask())
    pid = other.child_pid
    del other
    gc.collect()
    wait_until(lambda: not is_alive(pid))


@pytest.mark.parametrize("mood", ["good", "hang"])
def test_the_child_ends_when_its_parent_is_killed(package, mood):
    code = f"""
import time
from pathlib import Path
from napari_medsyn.exploration.engines.process import PATIENCE_S, ProcessEngine
from napari_medsyn.exploration.requests import PreparationOptions, Progress, Request, Viewport
from napari_medsyn.scans.study import Study
from tests._fakes import FAMILIES, make_scan

engine = ProcessEngine(FAMILIES)
controls = dict(present=("T1",), targets=("FLAIR",), temperature=0.5, mood={mood!r})
request = Request(1, Study((make_scan("T1"),)), Path({str(package)!r}), controls,
                  ("imputed_FLAIR",), Viewport(2, 6),
                  PreparationOptions("never", "never"), "cpu")

def hear(event):
    if isinstance(event, Progress) and event.stage == "running":
        print(engine.child_pid, flush=True)

engine.submit(request, hear)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent:
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
    wait_until(lambda: not is_alive(child))


def test_findings_and_edits_come_from_the_child_as_they_do_in_this_process(tmp_path):
    from tests.exploration import _people
    from tests.exploration.test_inverting import patient

    scans = patient()
    package = _people.make_people(tmp_path / "people")
    values = {control["name"]: control["default"] for control in _people.CONTROLS[:-2]}
    values |= {"seed": 0, "mood": "good", "present": ("T1",), "targets": ("T1",), "age": 60}
    inversion = Request(
        1, scans, package, {**values, "task": "invert", "own": {"sex": "M"}},
        ("reconstruction_T1",), None, PreparationOptions(register="never"), "cpu",
    )  # fmt: skip
    edit = replace(
        inversion,
        generation=2,
        controls={**values, "task": "counterfactual", "own": {**_people.FOUND, "sex": "M"}},
        outputs=("counterfactual_T1", "difference_T1"),
    )
    engines = ProcessEngine(_people.FAMILIES), InProcessEngine(_people.FAMILIES)
    (found, made), (found_here, made_here) = (
        [compute(engine, request)[-1] for request in (inversion, edit)] for engine in engines
    )
    assert found.findings == found_here.findings
    assert found.findings["own"]["sex"] == "M"
    for name, array in made_here.arrays.items():
        np.testing.assert_array_equal(made.arrays[name], array)
    assert made.arrays["difference_T1"].any()
    assert made.provenance["controls"]["own"]["age"] == _people.FOUND["age"]
    for engine in engines:
        engine.close()
