"""A Models dock without a window of napari: it needs nothing of the viewer but its identity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from tests.plugin.models._made import MadeCatalogue

from napari_medsyn.plugin.models.dock import ModelsDock

MakeDock = Callable[..., ModelsDock]


class Viewer:
    """Stands in for napari's viewer."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's models, consents and caches: a folder of this test."""
    home = tmp_path / "home"
    monkeypatch.setenv("MEDSYN_HOME", str(home))
    return home


@pytest.fixture
def make_dock(qtbot: QtBot) -> Iterator[MakeDock]:
    """Docks on made or real catalogues, listed and at rest."""
    docks: list[ModelsDock] = []

    def make(*entries: Any, catalogue: Any = None, viewer: Any = None) -> ModelsDock:
        made = catalogue if catalogue is not None else MadeCatalogue(entries)
        dock = ModelsDock(viewer if viewer is not None else Viewer(), made)
        docks.append(dock)
        qtbot.addWidget(dock)
        dock.resize(460, 800)
        dock.show()
        at_rest(dock, qtbot)
        return dock

    yield make
    for dock in docks:
        dock.release()


def at_rest(dock: ModelsDock, qtbot: QtBot) -> None:
    """Wait until nothing is being listed, searched, read or done."""
    qtbot.waitUntil(lambda: not dock.has_work, timeout=10_000)
