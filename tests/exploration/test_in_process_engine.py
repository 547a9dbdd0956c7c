from __future__ import annotations

import threading

import pytest
from tests._fakes import FAMILIES

from napari_medsyn.exploration.engines.in_process import InProcessEngine
from napari_medsyn.exploration.requests import Finished, Request, SlabReady, Stopped, Viewport

pytestmark = pytest.mark.usefixtures("fake_preparation")


@pytest.fixture
def engine():
    made = InProcessEngine(FAMILIES)
    yield made
    made.close()


@pytest.fixture
def ask(study, package):
    def make(generation, mood="good"):
        controls = {"targets": ("FLAIR",), "temperature": 0.5, "seed": 0, "mood": mood}
        return Request(
            generation, study, package, controls, ("imputed_FLAIR",), Viewport(2, 6), device="cpu"
        )

    return make


def test_all_is_done_when_submit_returns(engine, ask):
    heard = []
    engine.submit(ask(1), heard.append)
    assert isinstance(heard[-1], Finished)


def test_a_request_made_by_a_handler_overtakes_and_both_end_once(engine, ask):
    first, second = [], []

    def hear(event):
        first.append(event)
        if isinstance(event, SlabReady) and not second:
            engine.submit(ask(2), second.append)
            assert second == []

    engine.submit(ask(1), hear)
    assert first[-1] == Stopped(1)
    assert isinstance(second[-1], Finished)


def test_of_several_requests_that_wait_only_the_newest_is_computed(engine, ask):
    heard = {2: [], 3: []}

    def hear(event):
        if isinstance(event, SlabReady) and not heard[2]:
            engine.submit(ask(2), heard[2].append)
            engine.submit(ask(3), heard[3].append)

    engine.submit(ask(1), hear)
    assert heard[2] == [Stopped(2)]
    assert isinstance(heard[3][-1], Finished)


def test_cancel_from_a_handler_ends_it_before_the_next_region(engine, ask):
    heard = []

    def hear(event):
        heard.append(event)
        if isinstance(event, SlabReady):
            engine.cancel()

    engine.submit(ask(1), hear)
    assert heard[-1] == Stopped(1)
    assert sum(isinstance(event, SlabReady) for event in heard) == 1


def test_cancel_from_another_thread(engine, ask):
    heard, slab = [], threading.Event()

    def hear(event):
        heard.append(event)
        if isinstance(event, SlabReady):
            slab.set()

    worker = threading.Thread(target=engine.submit, args=(ask(1, "slow"), hear))
    worker.start()
    assert slab.wait(30)
    engine.cancel()
    worker.join(30)
    assert heard[-1] == Stopped(1)


def test_a_handler_that_raises_leaves_the_engine_usable(engine, ask):
    def hear(event):
        raise RuntimeError("a defect of the interface")

    with pytest.raises(RuntimeError, match="a defect of the interface"):
        engine.submit(ask(1), hear)
    heard = []
    engine.submit(ask(2), heard.append)
    assert isinstance(heard[-1], Finished)


def test_what_waits_when_a_handler_raises_is_computed_with_the_next_request(engine, ask):
    waiting = []

    def hear(event):
        engine.submit(ask(2), waiting.append)
        raise RuntimeError("a defect of the interface")

    with pytest.raises(RuntimeError, match="a defect"):
        engine.submit(ask(1), hear)
    heard = []
    engine.submit(ask(3), heard.append)
    assert waiting == [Stopped(2)]
    assert isinstance(heard[-1], Finished)
