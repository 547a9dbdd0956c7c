"""The dock with a model that makes images of nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget
from tests.plugin._fakes import make_card
from tests.plugin.conftest import Dock, patient

from napari_medsyn.plugin.sessions import session_of
from napari_medsyn.registry.catalogue import Entry

LATENT = {"kind": "latent", "name": "latent", "label": "Latent", "directions": ["z1", "z2"]}


@pytest.fixture
def flat(dock: Dock) -> Dock:
    """A dock in which a model of flat pictures is chosen."""
    card = make_card(
        id="pictures",
        name="Pictures",
        inputs=(),
        outputs=("MG",),
        min_inputs=0,
        intensity={"rule": "unit"},
        grid={"shape": (8, 6, 1), "space": "picture", "dim": "2D"},
        controls=[LATENT, {"kind": "seed", "name": "seed", "label": "Seed"}],
    )
    catalogue = dock.session.catalogue
    catalogue._entries += (Entry("pictures", Path("/models/pictures"), "user", card),)  # type: ignore[attr-defined]
    dock.session.choose_model("pictures")
    return dock


def test_no_scan_is_needed(flat: Dock) -> None:
    explorer = flat.explorer
    assert explorer.run_panel.impute.isEnabled()
    assert explorer.run_panel.impute.text() == "Generate"
    assert explorer.model_panel.fit.text == "Needs no scan: generates MG, 8 × 6"
    assert explorer.model_panel.models.currentData() == "pictures"
    assert not explorer.control_panel.preparation.isVisibleTo(explorer)


def test_the_picture_is_a_synthetic_layer_in_view(flat: Dock) -> None:
    flat.explorer.impute()
    request = flat.engine.requests[-1]
    assert request.outputs == ("generated_MG",)
    assert len(request.study) == 0
    flat.engine.finish()
    flat.until(lambda: not flat.explorer.has_work)
    assert flat.names() == ["SYNTHETIC generated MG"]
    layer = flat.viewer.layers[0]
    assert layer.data.shape == (1, 6, 8)
    assert layer.visible
    assert layer.metadata["medsyn"].provenance["model"] == "fake-brain-mr"
    assert float(np.asarray(flat.viewer.dims.point)[0]) == 0.0


def test_a_scan_of_the_modality_that_is_made_is_no_place_for_it(flat: Dock) -> None:
    flat.add(patient("MG"))
    flat.explorer.impute()
    flat.engine.slab(2, 0, 1)
    layer = flat.viewer.layers["SYNTHETIC generated MG"]
    assert layer.data.shape == (1, 6, 8)


def test_a_flat_picture_hides_the_scans_and_keeps_them(flat: Dock) -> None:
    flat.add(patient("T1"))
    flat.explorer.impute()
    flat.engine.finish()
    flat.until(lambda: not flat.explorer.has_work)
    scan, picture = flat.viewer.layers
    assert (scan.visible, picture.visible) == (False, True)
    assert len(flat.session.study) == 1


def test_a_scan_that_is_loaded_next_takes_the_place_of_the_picture(flat: Dock) -> None:
    flat.explorer.impute()
    flat.engine.finish()
    flat.until(lambda: not flat.explorer.has_work)
    flat.add(patient("T1"))
    picture, scan = flat.viewer.layers
    assert (picture.visible, scan.visible) == (False, True)
    low, high = scan.extent.world[:, 0]
    assert low <= flat.viewer.dims.point[0] <= high
    assert flat.explorer.model_panel.fit.text.endswith("; the loaded scans are not read")


def test_asked_for_again_the_picture_comes_back(flat: Dock) -> None:
    flat.explorer.impute()
    flat.engine.finish()
    flat.until(lambda: not flat.explorer.has_work)
    flat.add(patient("T1"))
    flat.explorer.impute()
    flat.engine.finish()
    picture, scan = flat.viewer.layers
    assert (picture.visible, scan.visible) == (True, False)


def test_a_slider_of_the_latent_asks_for_another_picture(flat: Dock) -> None:
    flat.session.live = True
    flat.engine.finish()
    editor = flat.explorer.control_panel.editors["latent"]
    editor.rows[1].slider.setValue(30)  # type: ignore[attr-defined]
    assert flat.engine.requests[-1].controls["latent"] == (0.0, 1.5)


def test_back_at_a_patients_model_the_picture_goes_out_of_sight(flat: Dock) -> None:
    flat.add(patient("T1"))
    flat.explorer.impute()
    flat.engine.finish()
    flat.until(lambda: not flat.explorer.has_work)
    flat.session.choose_model("fake-brain-mr")
    assert flat.explorer.run_panel.impute.text() == "Impute"
    flat.explorer.impute()
    flat.engine.finish()
    flat.until(lambda: not flat.explorer.has_work)
    picture = next(layer for layer in flat.viewer.layers if "MG" in layer.name)
    assert not picture.visible


def test_other_docks_find_the_session_until_it_closes(dock: Dock) -> None:
    assert session_of(dock.viewer) is dock.session
    dock.explorer.release()
    assert session_of(dock.viewer) is None


def test_what_a_card_says_is_never_html(dock: Dock) -> None:
    spoof = "<b>Seed</b><img src='file:///etc/passwd'>"
    card = make_card(
        id="spoof", inputs=(), outputs=("MG",), min_inputs=0, intensity={"rule": "unit"},
        name=spoof, summary=spoof,
        controls=[{"kind": "seed", "name": "seed", "label": spoof, "help": spoof}],
    )  # fmt: skip
    dock.session.catalogue._entries += (Entry("spoof", Path("/models/spoof"), "user", card),)  # type: ignore[attr-defined]
    dock.session.choose_model("spoof")
    labels = dock.explorer.findChildren(QLabel)
    shown = [label for label in labels if "<img" in label.text()]
    assert [label.text() for label in shown] == [spoof]
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in shown)
    tips = [widget.toolTip() for widget in dock.explorer.findChildren(QWidget)]
    assert not [tip for tip in tips if "<img" in tip]
