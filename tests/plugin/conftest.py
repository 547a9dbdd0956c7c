"""A dock in a real viewer, driven by an engine that answers when the test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from tests._builders import make_affine, make_scan
from tests.plugin._fakes import FakeCatalogue, FakeEngine

from napari_medsyn.exploration.session import Session
from napari_medsyn.plugin.explorer import Explorer
from napari_medsyn.plugin.layers import scan_layer_data
from napari_medsyn.scans.study import Scan


@dataclass
class Dock:
    """A viewer, its dock and the engine behind it."""

    viewer: Viewer
    explorer: Explorer
    engine: FakeEngine
    bot: QtBot

    @property
    def session(self) -> Session:
        return self.explorer.session

    def add(self, *scans: Scan) -> None:
        """Add scans as napari's File > Open does: as layers that carry their scan."""
        from napari.layers import Layer

        for scan in scans:
            self.viewer.add_layer(Layer.create(*scan_layer_data(scan)))

    def until(self, condition: Callable[[], bool]) -> None:
        self.bot.waitUntil(condition, timeout=10_000)

    def result(self, output: str) -> np.ndarray:
        """What the layer of `output` shows, as an array of the patient's grid."""
        from napari_medsyn.plugin.layers import mark_of
        from napari_medsyn.scans.display import from_display

        layer = self.explorer.results.layers[output]
        mark = mark_of(layer)
        assert mark is not None
        return from_display(np.asarray(layer.data), mark.scan)

    def names(self) -> list[str]:
        return [layer.name for layer in self.viewer.layers]


def patient(modality: str, seed: int = 0) -> Scan:
    """A sagittal scan: every array axis shown as another one, two of them flipped."""
    return make_scan((6, 7, 8), make_affine("PSR", (1.0, 2.0, 3.0)), modality, seed=seed)


@pytest.fixture
def make_dock(
    make_napari_viewer: Callable[..., Viewer], qtbot: QtBot
) -> Iterator[Callable[..., Dock]]:
    """Docks in viewers of their own; closed with them."""
    docks: list[Dock] = []

    def make(**viewer_options: object) -> Dock:
        viewer = make_napari_viewer(**viewer_options)
        engine = FakeEngine()
        session = Session(engine=engine, catalogue=FakeCatalogue())  # type: ignore[arg-type]
        explorer = Explorer(viewer, session=session)
        viewer.window.add_dock_widget(explorer, name="MedSyn")
        docks.append(Dock(viewer, explorer, engine, qtbot))
        return docks[-1]

    yield make
    for dock in docks:
        if hasattr(dock, "explorer"):
            dock.explorer.release()
    docks.clear()


@pytest.fixture
def dock(make_dock: Callable[..., Dock]) -> Dock:
    """A dock without scans."""
    return make_dock()


@pytest.fixture
def loaded(dock: Dock) -> Dock:
    """A dock with a T1 and a T2 on one sagittal grid."""
    dock.add(patient("T1"), patient("T2", seed=1))
    return dock
