"""Sweeps in the dock: from the button to the layers, and to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog
from tests.plugin._people import answer, choose_people, invert
from tests.plugin.conftest import Dock, patient

from napari_medsyn.errors import MedsynError
from napari_medsyn.plugin.adapters import text_overlay
from napari_medsyn.plugin.layers import scan_to_write
from napari_medsyn.scans.display import to_display


@pytest.fixture
def swept(dock: Dock) -> Dock:
    """A dock in which age has been swept from 30 to 70 years in three steps."""
    choose_people(dock)
    dock.add(patient("T1"))
    invert(dock)
    dock.until(lambda: dock.explorer.run_panel.live.isChecked())
    answer(dock.engine)
    panel = dock.explorer.sweeps.panel
    panel.first.setValue(30)
    panel.last.setValue(70)
    panel.steps.setValue(3)
    panel.sweep.click()
    for _ in range(3):
        answer(dock.engine)
    dock.until(lambda: dock.explorer.sweeps.layers.swept is not None)
    return dock


def test_a_sweep_is_a_layer_whose_axis_is_the_covariate(swept: Dock) -> None:
    layer = swept.explorer.sweeps.layers.layers["counterfactual_T1"]
    assert layer.name == "SYNTHETIC counterfactual T1 · sweep of age"
    assert swept.viewer.dims.axis_labels == ("Age (years)", "S", "P", "L")
    assert (layer.scale[0], layer.translate[0]) == (20, 30)
    np.testing.assert_allclose(layer.scale[1:], swept.viewer.layers[0].scale)
    np.testing.assert_allclose(layer.translate[1:], swept.viewer.layers[0].translate)
    # The three answers were one after the other, and each lies as the scan itself does.
    assert [r.controls["age"] for r in swept.engine.requests[-3:]] == [30, 50, 70]
    for step in range(3):
        array = swept.engine.arrays(step - 3)["counterfactual_T1"]
        scan = swept.session.study.reference
        expected = to_display(type(scan)(voxels=array, affine=scan.affine, modality="T1")).array
        np.testing.assert_array_equal(layer.data[step], expected)
    # It begins at the step that is nearest to the patient's 44 years.
    assert swept.viewer.dims.point[0] == 50
    assert swept.explorer.sweeps.layers.layers["difference_T1"].visible is False


def test_the_canvas_says_which_step_is_to_be_seen(swept: Dock) -> None:
    overlay = text_overlay(swept.viewer)
    assert "Age 50 years" in overlay.text
    swept.viewer.dims.set_point(0, 70)
    assert "Age 70 years" in overlay.text
    assert overlay.text.startswith("SYNTHETIC")


def test_the_difference_of_a_sweep_is_shown_with_the_sweep(swept: Dock) -> None:
    swept.until(lambda: "difference_T1" in swept.explorer.results.layers)
    swept.explorer.comparison.difference.click()
    assert swept.explorer.sweeps.layers.layers["difference_T1"].visible
    assert not swept.explorer.results.layers["difference_T1"].visible


def test_a_slider_puts_the_sweep_aside_and_its_own_slider_brings_it_back(swept: Dock) -> None:
    layers = swept.explorer.sweeps.layers
    swept.explorer.control_panel.editors["age"].inner.slider.setValue(60 - 18)
    swept.engine.slab(1, 0, 3)
    assert not layers.is_seen
    assert "Age" not in text_overlay(swept.viewer).text
    swept.viewer.dims.set_current_step(1, 2)
    assert not layers.is_seen
    swept.viewer.dims.set_point(0, 30)
    assert layers.is_seen


def test_another_sweep_takes_the_place_of_the_last(swept: Dock) -> None:
    panel = swept.explorer.sweeps.panel
    panel.covariate.setCurrentIndex(panel.covariate.findData("sex"))
    panel.sweep.click()
    answer(swept.engine)
    answer(swept.engine)
    swept.until(lambda: swept.viewer.dims.axis_labels[0] == "Sex")
    assert sum(layer.ndim == 4 for layer in swept.viewer.layers) == 3
    for layer in [layer for layer in swept.viewer.layers if layer.ndim == 4]:
        swept.viewer.layers.remove(layer)
    assert not panel.save.isEnabled()
    assert swept.explorer.sweeps.layers.swept is None


def test_a_sweep_can_be_cancelled(swept: Dock) -> None:
    before = swept.explorer.sweeps.layers.swept
    panel = swept.explorer.sweeps.panel
    panel.sweep.click()
    assert not panel.sweep.isEnabled()
    answer(swept.engine)
    swept.explorer.run_panel.cancel.click()
    assert panel.sweep.isEnabled()
    assert swept.explorer.sweeps.layers.swept is before


def test_the_plane_on_screen_becomes_an_animation_on_a_thread(
    swept: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    path = tmp_path / "age"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    swept.explorer.sweeps.panel.save_animation.trigger()
    swept.until(lambda: "Saved" in swept.explorer.message.text)
    with Image.open(path.with_suffix(".gif")) as animation:
        assert animation.n_frames == 3


def test_volumes_are_saved_with_their_provenance(
    swept: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    swept.explorer.sweeps.panel.save_volumes.trigger()
    swept.until(lambda: "Saved" in swept.explorer.message.text)
    assert (tmp_path / "provenance.json").is_file()
    assert (tmp_path / "counterfactual_T1.nii.gz").is_file()


def test_one_layer_of_a_sweep_is_not_written_as_a_scan(swept: Dock) -> None:
    layer = swept.explorer.sweeps.layers.layers["counterfactual_T1"]
    data, attributes, _ = layer.as_layer_data_tuple()
    with pytest.raises(MedsynError, match="from the MedSyn dock"):
        scan_to_write(data, attributes)


def test_the_sweep_of_a_patient_who_is_gone_is_hidden(swept: Dock) -> None:
    del swept.viewer.layers[0]
    assert not swept.explorer.sweeps.layers.is_seen
