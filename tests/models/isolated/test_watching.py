"""The limit on time."""

from __future__ import annotations

import gc
import threading
import time

from napari_medsyn.models.isolated.watching import Watchdog


def test_it_bites_what_takes_too_long() -> None:
    bitten = threading.Event()
    watchdog = Watchdog(bitten.set)

    with watchdog.until(0.05):
        assert bitten.wait(5)

    assert watchdog.has_bitten


def test_what_is_done_in_time_is_left_alone() -> None:
    bitten = threading.Event()
    watchdog = Watchdog(bitten.set)

    for _ in range(20):
        with watchdog.until(0.2):
            time.sleep(0.02)

    assert not bitten.wait(0.3)
    assert not watchdog.has_bitten


def test_a_shorter_limit_after_a_long_one_holds() -> None:
    bitten = threading.Event()
    watchdog = Watchdog(bitten.set)
    with watchdog.until(60):
        time.sleep(0.01)

    with watchdog.until(0.05):
        assert bitten.wait(5)


def test_its_thread_goes_home_with_it() -> None:
    def threads() -> int:
        return sum(thread.name == "medsyn-watchdog" for thread in threading.enumerate())

    before = threads()
    watchdog = Watchdog(lambda: None)
    with watchdog.until(60):
        assert threads() == before + 1
    del watchdog
    gc.collect()
    deadline = time.monotonic() + 5
    while threads() > before and time.monotonic() < deadline:
        time.sleep(0.01)

    assert threads() == before
