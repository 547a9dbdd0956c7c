"""The dock with the engine it has in napari: a child process, a fake model in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from tests import _fakes
from tests.plugin.conftest import Dock

from napari_medsyn.exploration.engines.process import ProcessEngine
from napari_medsyn.exploration.requests import PreparationOptions
from napari_medsyn.exploration.session import Session
from napari_medsyn.plugin.dispatch import GuiDispatcher
from napari_medsyn.plugin.explorer import Explorer
from napari_medsyn.registry.catalogue import Catalogue

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals")


@pytest.fixture
def dock(
    make_napari_viewer: Callable[..., Viewer],
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Dock]:
    """A dock with T1 and T2 on the grid of the fake model."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]  # the child finds `tests`
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    _fakes.make_package(tmp_path / "models" / "fake")
    viewer = make_napari_viewer()
    engine = ProcessEngine(_fakes.FAMILIES)
    session = Session(engine, Catalogue([(tmp_path / "models", "user")]), GuiDispatcher())
    explorer = Explorer(viewer, session=session)
    viewer.window.add_dock_widget(explorer, name="MedSyn")
    dock = Dock(viewer, explorer, engine, qtbot)  # type: ignore[arg-type]
    session.set_options(PreparationOptions(register="never", brain_mask="never"))
    dock.add(_fakes.make_scan("T1", name="T1"), _fakes.make_scan("T2", name="T2"))
    yield dock
    explorer.release()


def idle(dock: Dock) -> bool:
    return not dock.explorer.has_work


def test_from_the_button_to_the_layer_through_another_process(dock: Dock) -> None:
    dock.explorer.impute()
    dock.bot.waitUntil(lambda: idle(dock), timeout=60_000)
    assert "imputed_FLAIR" in dock.explorer.results.layers, dock.explorer.message.text
    shown = dock.result("imputed_FLAIR")
    inside = dock.session.study.reference.voxels > 0
    for k in range(2, _fakes.SHAPE[2] - 2):
        np.testing.assert_allclose(
            shown[..., k][inside[..., k]], _fakes.answer_of("FLAIR", k), rtol=1e-5
        )
    assert not shown[~inside].any()


def test_a_model_that_takes_its_process_down_takes_nothing_else(dock: Dock) -> None:
    dock.session.set_control("mood", "crash")
    dock.explorer.impute()
    dock.bot.waitUntil(lambda: bool(dock.explorer.message.text) and idle(dock), timeout=60_000)
    assert "\n" not in dock.explorer.message.text
    assert dock.names() == ["T1", "T2"]
    dock.session.set_control("mood", "good")
    dock.explorer.impute()
    dock.bot.waitUntil(lambda: idle(dock), timeout=60_000)
    assert "imputed_FLAIR" in dock.explorer.results.layers


def test_closing_the_viewer_ends_a_child_that_hangs(dock: Dock) -> None:
    engine: ProcessEngine = dock.engine  # type: ignore[assignment]
    dock.session.set_control("mood", "hang")
    dock.explorer.impute()
    dock.bot.waitUntil(lambda: engine.child_pid is not None, timeout=60_000)
    pid = engine.child_pid
    assert pid is not None
    dock.viewer.close()
    dock.bot.waitUntil(lambda: not _lives(pid), timeout=30_000)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
