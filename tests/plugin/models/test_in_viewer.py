"""Models dock and Explorer in one window of napari: one session between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from tests._fakes import make_package, make_scan
from tests.plugin._fakes import FakeEngine
from tests.plugin.models.conftest import at_rest

from napari_medsyn.exploration.session import Session
from napari_medsyn.plugin import sessions
from napari_medsyn.plugin.explorer import Explorer
from napari_medsyn.plugin.layers import scan_layer_data
from napari_medsyn.plugin.models.dock import ModelsDock
from napari_medsyn.registry.catalogue import Catalogue

Window = tuple[Viewer, Explorer, ModelsDock]


@pytest.fixture
def window(make_napari_viewer: Callable[..., Viewer], qtbot: QtBot, home: Path) -> Iterator[Window]:
    """A viewer with both docks on two packages of the user's."""
    for name in ("brain", "head"):
        make_package(home / "models" / name, id=name, name=f"The {name}")
    places = [(home / "models", "user")]
    viewer = make_napari_viewer()
    session = Session(engine=FakeEngine(), catalogue=Catalogue(places))  # type: ignore[arg-type]
    explorer = Explorer(viewer, session=session)
    models = ModelsDock(viewer, Catalogue(places))  # type: ignore[arg-type]
    viewer.window.add_dock_widget(explorer, name="MedSyn")
    viewer.window.add_dock_widget(models, name="MedSyn models")
    at_rest(models, qtbot)
    yield viewer, explorer, models
    explorer.release()
    models.release()


def add(viewer: Viewer, modality: str) -> None:
    from napari.layers import Layer

    viewer.add_layer(Layer.create(*scan_layer_data(make_scan(modality))))


def test_the_explorer_follows_the_model_that_is_used(window: Window) -> None:
    _, explorer, models = window
    assert explorer.session.card is not None
    assert explorer.session.card.id == "brain"
    models.select(Path(models.listing.rows[1].entry.package))
    QTest.keyClick(models.view, Qt.Key.Key_Return)
    assert explorer.session.card.id == "head"
    assert explorer.model_panel.models.currentText() == "The head"


def test_badges_follow_the_scans_of_the_viewer(window: Window, qtbot: QtBot) -> None:
    viewer, explorer, models = window
    assert {row.badge.state for row in models.listing.rows} == {"no scan"}
    add(viewer, "T1")
    qtbot.waitUntil(lambda: len(explorer.session.study) == 1, timeout=10_000)
    qtbot.waitUntil(
        lambda: {row.badge.state for row in models.listing.rows} == {"fits"}, timeout=10_000
    )


def test_an_installed_model_can_be_chosen_in_the_explorer(
    window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    _, explorer, models = window
    source = make_package(tmp_path / "new", id="new", name="The new one")
    models.package_actions.install([source])
    combo = explorer.model_panel.models
    qtbot.waitUntil(lambda: combo.findData("new") >= 0, timeout=10_000)
    at_rest(models, qtbot)


def test_the_dock_outlives_the_explorer(window: Window, qtbot: QtBot) -> None:
    viewer, explorer, models = window
    assert sessions.session_of(viewer) is explorer.session
    explorer.release()
    qtbot.waitUntil(lambda: models.session is None)
    at_rest(models, qtbot)
    assert models.table.rowCount() == 2
