"""Docks that share a place: which one is in front."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QDockWidget
from tests.plugin.conftest import Dock

from napari_medsyn.plugin.models.dock import ModelsDock
from napari_medsyn.plugin.opening import open_models_dock


def holder(widget: object) -> QDockWidget:
    while not isinstance(widget, QDockWidget):
        widget = widget.parentWidget()  # type: ignore[attr-defined]
    return widget


@pytest.fixture
def models(dock: Dock) -> ModelsDock:
    opened = open_models_dock(dock.viewer)
    dock.until(lambda: not opened.has_work)
    return opened


def test_the_models_are_a_tab_beside_the_explorer(dock: Dock, models: ModelsDock) -> None:
    window = holder(models).parentWidget()
    tabs = window.tabifiedDockWidgets(holder(models))  # type: ignore[union-attr]
    assert holder(dock.explorer) in tabs
    assert open_models_dock(dock.viewer) is models


def test_a_model_that_is_used_brings_the_explorer_to_the_front(
    dock: Dock, models: ModelsDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[QDockWidget] = []
    monkeypatch.setattr(QDockWidget, "raise_", lambda self: raised.append(self))
    monkeypatch.setattr(dock.session, "choose_model", lambda _: None)
    row = next(row for row in models.listing.rows if row.entry.id == "mmhvae-brain-mr-1mm")
    models.select(row.entry.package)
    models.use()
    assert models.message.text.endswith("is now used in the MedSyn dock.")
    assert raised == [holder(dock.explorer)]
