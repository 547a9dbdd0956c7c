"""Listing on threads: the interface never waits, and what comes late is dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QTimer
from tests.plugin.models._made import (
    MadeCatalogue,
    broken_entry,
    made_entry,
    many_entries,
    nobody_consents,
    study_of,
)

from napari_medsyn.errors import MedsynError
from napari_medsyn.plugin.dispatch import Background, GuiDispatcher
from napari_medsyn.plugin.models.arranging import Arranged, Facets, Query
from napari_medsyn.plugin.models.listing import Listeners, Listing


class Hears:
    """Writes down what a listing says."""

    def __init__(self) -> None:
        self.facets: list[Facets] = []
        self.arranged: list[Arranged] = []
        self.failures: list[str] = []

    def listeners(self) -> Listeners:
        return Listeners(
            self.facets.append,
            self.arranged.append,
            lambda sentence, _detail: self.failures.append(sentence),
        )


@pytest.fixture
def hears() -> Hears:
    return Hears()


@pytest.fixture
def listing(qapp: object, hears: Hears) -> Iterator[Listing]:
    dispatch = GuiDispatcher()
    background = Background(dispatch)
    yield Listing(background, nobody_consents, hears.listeners())
    dispatch.close()
    background.close()


def states(listing: Listing) -> list[str]:
    return [row.badge.state for row in listing.rows]


def test_models_are_listed_before_they_are_compared(
    listing: Listing, hears: Hears, qtbot: QtBot
) -> None:
    seen: list[list[str]] = []
    listing._listeners = replace(
        hears.listeners(), listed=lambda _facets: seen.append(states(listing))
    )
    listing.reload(MadeCatalogue([made_entry(), broken_entry()]), study_of("T1"))
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert seen == [["not checked", "broken"], ["fits", "broken"]]


def test_another_study_is_compared_without_listing_again(
    listing: Listing, hears: Hears, qtbot: QtBot
) -> None:
    listings: list[None] = []
    catalogue = MadeCatalogue([made_entry()], before=lambda: listings.append(None))
    listing.reload(catalogue, study_of("T1"))
    qtbot.waitUntil(lambda: not listing.busy)
    listing.compare(study_of("CT"))
    qtbot.waitUntil(lambda: not listing.busy)
    assert states(listing) == ["fits not"]
    assert len(listings) == 1


def test_the_event_loop_turns_while_models_are_listed(
    listing: Listing, hears: Hears, qtbot: QtBot
) -> None:
    # The listing waits for ticks of the event loop: on its thread it would wait in vain.
    ticked, main = threading.Event(), threading.get_ident()
    seen: dict[str, object] = {}

    def before() -> None:
        seen["waited"] = ticked.wait(20)
        seen["thread"] = threading.get_ident()

    ticks: list[None] = []
    timer = QTimer()
    timer.setInterval(1)

    def tick() -> None:
        ticks.append(None)
        if len(ticks) == 20:
            ticked.set()

    timer.timeout.connect(tick)
    timer.start()
    listing.reload(MadeCatalogue(many_entries(500), before), study_of("T1"))
    qtbot.waitUntil(lambda: len(hears.facets) == 2, timeout=10_000)
    timer.stop()
    assert seen["waited"]
    assert seen["thread"] != main
    assert len(listing.rows) == 500


def test_of_several_searches_the_first_and_the_last_run_on_a_thread(
    listing: Listing, hears: Hears, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_medsyn.plugin.models import listing as module

    threads: list[int] = []
    whole = module.arrange

    def arrange(*arguments):
        threads.append(threading.get_ident())
        return whole(*arguments)

    monkeypatch.setattr(module, "arrange", arrange)
    listing.reload(MadeCatalogue(many_entries(100)), study_of())
    qtbot.waitUntil(lambda: not listing.busy)
    for word in ("no", "non", "none such"):
        listing.ask(Query(words=(word,)))
    qtbot.waitUntil(lambda: not listing.busy)
    assert threading.get_ident() not in threads
    assert [found.query.words for found in hears.arranged] == [("none such",)]
    assert len(threads) == 2  # the first and the last


def test_a_catalogue_that_cannot_be_read_is_told(
    listing: Listing, hears: Hears, qtbot: QtBot
) -> None:
    def fail() -> None:
        raise MedsynError("the folder is locked")

    listing.reload(MadeCatalogue([], before=fail), study_of())
    qtbot.waitUntil(lambda: bool(hears.failures))
    assert hears.failures == ["the folder is locked"]
    assert listing.rows == ()
