"""The dock in a real viewer, driven as a person would drive it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.viewer import Viewer
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog
from tests._builders import make_affine, make_scan, write_nifti
from tests.plugin.conftest import Dock, patient

from napari_medsyn.plugin.explorer import Explorer
from napari_medsyn.plugin.layers import mark_of
from napari_medsyn.scans.display import to_display


def click(button: object) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)  # type: ignore[arg-type]


# ---- scans ---------------------------------------------------------------------------


def test_an_empty_dock_says_what_to_do_and_offers_nothing_else(dock: Dock) -> None:
    panel = dock.explorer.run_panel
    assert "Open a scan" in dock.explorer.model_panel.fit.text
    assert not panel.impute.isEnabled()
    assert not panel.cancel.isEnabled()
    assert not panel.save.isEnabled()
    assert dock.session.card is not None  # the first usable model is chosen


def test_layers_of_our_readers_become_scans_with_their_modality(loaded: Dock) -> None:
    rows = list(loaded.explorer.study_panel.rows.values())
    assert [row.modality.currentText() for row in rows] == ["T1", "T2"]
    assert rows[0].badge.text() == "1 × 2 × 3 mm"
    assert loaded.explorer.model_panel.fit.text == "Fits: reads T1, T2; imputes T1c, FLAIR"
    assert loaded.explorer.run_panel.impute.isEnabled()


def test_open_reads_a_file_on_a_thread_and_keeps_its_geometry(
    dock: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    affine = make_affine("LPS", (1.5, 1.0, 4.0), tilt_degrees=20)
    path = write_nifti(tmp_path / "sub-01_FLAIR.nii.gz", affine=affine)
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(path)], ""))
    dock.explorer.study_panel.open_files.trigger()
    dock.until(lambda: len(dock.session.study) == 1)
    scan = dock.session.study.scans[0]
    assert scan.modality == "FLAIR"
    np.testing.assert_allclose(scan.affine, affine, atol=1e-5)
    layer = dock.viewer.layers[0]
    assert tuple(layer.axis_labels) == ("S", "P", "L")
    np.testing.assert_allclose(np.asarray(layer.affine), np.eye(4))
    np.testing.assert_allclose(layer.scale, (4.0, 1.0, 1.5), rtol=1e-5)
    badge = next(iter(dock.explorer.study_panel.rows.values())).badge.text()
    assert "tilted 20°" in badge


def test_a_broken_file_is_told_in_one_sentence_and_leaves_nothing(
    dock: Dock, tmp_path: Path
) -> None:
    path = tmp_path / "torn_T1.nii.gz"
    path.write_bytes(b"\x1f\x8b torn")
    dock.explorer.open_paths([path])
    dock.until(lambda: bool(dock.explorer.message.text))
    assert "torn_T1.nii.gz" in dock.explorer.message.text
    assert "Traceback" not in dock.explorer.message.text
    assert not dock.names()
    assert dock.explorer.run_panel.bar.text == ""


def test_files_dropped_on_the_dock_are_loaded(dock: Dock, tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "t2.nii")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    dock.explorer.dropEvent(event)
    dock.until(lambda: dock.session.study.modalities == ("T2",))


def test_a_layer_of_another_reader_is_assigned_with_its_scale(dock: Dock) -> None:
    voxels = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    dock.viewer.add_image(voxels, name="pat_flair", scale=(3, 2, 1), translate=(7, 8, 9))
    assert not len(dock.session.study)
    click(dock.explorer.study_panel.use_layers)
    dock.until(lambda: len(dock.session.study) == 1)
    scan = dock.session.study.scans[0]
    assert scan.modality == "FLAIR"
    # World axes of such a layer are S, P, L: voxel (0, 0, 0) lies 7 mm superior, 8 mm
    # posterior and 9 mm left.
    np.testing.assert_allclose(scan.affine[:3, 3], (-9, -8, 7))
    np.testing.assert_allclose(scan.affine[:3, :3], [[0, 0, -1], [0, -2, 0], [3, 0, 0]])
    # Taking it out again leaves the layer, which is not ours.
    click(next(iter(dock.explorer.study_panel.rows.values())).remove)
    assert not len(dock.session.study)
    assert dock.names() == ["pat_flair"]


def test_a_second_scan_of_a_modality_waits_for_one_to_be_chosen(loaded: Dock) -> None:
    loaded.add(patient("T1", seed=5))
    rows = list(loaded.explorer.study_panel.rows.values())
    assert [row.modality.currentText() for row in rows] == ["T1", "T2", "choose…"]
    assert "another T1" in loaded.explorer.message.text
    combo = rows[2].modality
    combo.setCurrentIndex(combo.findData("FLAIR"))
    combo.activated.emit(combo.currentIndex())
    assert loaded.session.study.modalities == ("T1", "T2", "FLAIR")
    layer = loaded.viewer.layers[2]
    mark = mark_of(layer)
    assert mark is not None
    assert mark.scan.modality == "FLAIR"


def test_two_scans_cannot_get_the_same_modality(loaded: Dock) -> None:
    row = list(loaded.explorer.study_panel.rows.values())[1]
    row.modality.setCurrentIndex(row.modality.findData("T1"))
    row.modality.activated.emit(row.modality.currentIndex())
    assert loaded.session.study.modalities == ("T1", "T2")
    assert row.modality.currentText() == "T2"
    assert "T1" in loaded.explorer.message.text


def test_removing_a_layer_removes_the_scan_and_the_other_way_round(loaded: Dock) -> None:
    del loaded.viewer.layers[0]
    assert loaded.session.study.modalities == ("T2",)
    click(next(iter(loaded.explorer.study_panel.rows.values())).remove)
    assert not loaded.names()
    assert not len(loaded.session.study)


# ---- imputing ------------------------------------------------------------------------


def test_impute_shows_the_plane_on_screen_first_and_then_everything(loaded: Dock) -> None:
    loaded.viewer.dims.set_current_step(0, 2)
    click(loaded.explorer.run_panel.impute)
    request = loaded.engine.requests[-1]
    # S is array axis 1 of this scan and grows with it.
    assert request.viewport is not None
    assert (request.viewport.axis, request.viewport.index) == (1, 2)
    assert request.controls["present"] == ("T1", "T2")
    assert [n for n in request.outputs if n.startswith("imputed")] == [
        "imputed_T1c",
        "imputed_FLAIR",
    ]
    loaded.engine.slab(1, 2, 3)
    layer = loaded.explorer.results.layers["imputed_FLAIR"]
    assert layer.name == "SYNTHETIC imputed FLAIR"
    assert layer.visible
    shown = loaded.result("imputed_FLAIR")
    expected = loaded.engine.arrays()["imputed_FLAIR"]
    np.testing.assert_array_equal(shown[:, 2], expected[:, 2])
    assert not shown[:, 3].any()
    loaded.engine.finish()
    for name, array in loaded.engine.arrays().items():
        loaded.until(lambda name=name: name in loaded.explorer.results.layers)
        np.testing.assert_array_equal(loaded.result(name), array)
    layers = loaded.explorer.results.layers
    assert set(layers) == {
        "imputed_T1c", "imputed_FLAIR", "uncertainty_T1c", "uncertainty_FLAIR",
        "residual_T1", "residual_T2",
    }  # fmt: skip
    assert not layers["uncertainty_FLAIR"].visible
    assert not layers["residual_T1"].visible


def test_results_lie_on_the_patient_exactly_where_the_scan_lies(loaded: Dock) -> None:
    click(loaded.explorer.run_panel.impute)
    loaded.engine.finish()
    scan, result = loaded.viewer.layers[0], loaded.explorer.results.layers["imputed_FLAIR"]
    np.testing.assert_allclose(result.scale, scan.scale)
    np.testing.assert_allclose(result.translate, scan.translate)
    assert result.data.shape == scan.data.shape
    assert tuple(result.axis_labels) == ("S", "P", "L")


def test_a_second_run_fills_the_same_layers_and_keeps_their_look(loaded: Dock) -> None:
    click(loaded.explorer.run_panel.impute)
    loaded.engine.finish()
    layer = loaded.explorer.results.layers["imputed_FLAIR"]
    layer.contrast_limits = (0.1, 0.7)
    layer.name = "renamed by the user"
    loaded.until(lambda: len(loaded.explorer.results.layers) == 6)
    before = loaded.names()
    click(loaded.explorer.run_panel.impute)
    loaded.engine.slab(1, 0, 7)
    loaded.engine.finish()
    assert loaded.explorer.results.layers["imputed_FLAIR"] is layer
    assert loaded.names() == before
    assert tuple(layer.contrast_limits) == (0.1, 0.7)
    np.testing.assert_array_equal(
        loaded.result("imputed_FLAIR"), loaded.engine.arrays()["imputed_FLAIR"]
    )


def test_switching_a_modality_off_imputes_it_from_the_others(loaded: Dock) -> None:
    loaded.add(patient("FLAIR", seed=2))
    row = list(loaded.explorer.study_panel.rows.values())[2]
    click(row.use)
    assert not row.use.isChecked()
    click(loaded.explorer.run_panel.impute)
    request = loaded.engine.requests[-1]
    assert request.controls["present"] == ("T1", "T2")
    assert "imputed_FLAIR" in request.outputs
    loaded.engine.finish()
    assert loaded.explorer.results.layers["imputed_FLAIR"].visible
    click(row.use)
    click(loaded.explorer.run_panel.impute)
    loaded.engine.finish()
    # FLAIR is read again: its imputed layer stays, but not in sight.
    assert not loaded.explorer.results.layers["imputed_FLAIR"].visible


def test_the_temperature_slider_follows_keys_and_mouse(loaded: Dock) -> None:
    loaded.viewer.window.show()
    editor = loaded.explorer.control_panel.editors["temperature"]
    slider = editor.slider
    QTest.keyClick(slider, Qt.Key.Key_Right)
    assert loaded.session.controls["temperature"] == pytest.approx(0.51)
    QTest.keyClick(slider, Qt.Key.Key_PageUp)
    assert loaded.session.controls["temperature"] == pytest.approx(0.61)
    assert editor.number.value() == pytest.approx(0.61)
    handle = QPoint(round(0.61 * slider.width()), slider.height() // 2)
    target = handle + QPoint(slider.width() // 5, 0)
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=handle)
    QTest.mouseMove(slider, target)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=target)
    dragged = loaded.session.controls["temperature"]
    assert 0.7 < dragged < 0.95
    click(loaded.explorer.run_panel.undo)
    assert loaded.session.controls["temperature"] < dragged
    assert editor.number.value() == pytest.approx(loaded.session.controls["temperature"])


def test_live_five_rapid_values_end_with_the_last(loaded: Dock) -> None:
    loaded.explorer.run_panel.live.click()
    slider = loaded.explorer.control_panel.editors["temperature"].slider
    for value in (10, 20, 30, 40, 90):
        slider.setValue(value)
    # The picture under way is shown; of the five values only the last one is computed.
    loaded.engine.slab(1, 0, 7)
    assert "imputed_FLAIR" in loaded.explorer.results.layers
    assert len(loaded.engine.requests) == 2
    assert loaded.engine.requests[-1].controls["temperature"] == pytest.approx(0.9)
    # What is left of the request that was overtaken comes late.
    loaded.engine.finish(0)
    assert loaded.session.results is None
    loaded.engine.finish()
    np.testing.assert_array_equal(
        loaded.result("imputed_FLAIR"), loaded.engine.arrays()["imputed_FLAIR"]
    )


def test_a_new_seed_is_one_click(loaded: Dock) -> None:
    editor = loaded.explorer.control_panel.editors["seed"]
    seeds = set()
    for _ in range(5):
        click(editor.renew)
        seeds.add(loaded.session.controls["seed"])
    assert len(seeds) > 1


def test_progress_is_told_in_words_and_numbers(loaded: Dock) -> None:
    click(loaded.explorer.run_panel.impute)
    loaded.engine.prepare("Preparing T2")
    assert loaded.explorer.run_panel.bar.text == "Preparing T2"
    assert loaded.explorer.run_panel.bar.share is None
    assert loaded.explorer.model_panel.state.text() == "Preparing T2…"
    loaded.engine.progress(3, 9)
    assert loaded.explorer.run_panel.bar.text == "Imputing · 3 of 9"
    assert loaded.explorer.run_panel.bar.share == pytest.approx(1 / 3)
    loaded.engine.finish()
    assert loaded.explorer.run_panel.bar.text == ""
    assert loaded.explorer.model_panel.state.text() == "Ready · ran on CPU"


def test_cancel_brings_the_previous_result_back(loaded: Dock) -> None:
    click(loaded.explorer.run_panel.impute)
    loaded.engine.finish()
    first = loaded.engine.arrays()["imputed_FLAIR"]
    click(loaded.explorer.run_panel.impute)
    loaded.engine.slab(1, 0, 3)
    click(loaded.explorer.run_panel.cancel)
    assert loaded.engine.cancelled == 1
    loaded.engine.slab(1, 3, 7)  # on its way when Cancel was pressed
    loaded.engine.stop()
    np.testing.assert_array_equal(loaded.result("imputed_FLAIR"), first)
    assert loaded.explorer.message.text == "Cancelled. Showing the previous result."
    assert not loaded.explorer.run_panel.cancel.isEnabled()
    mark = mark_of(loaded.explorer.results.layers["imputed_FLAIR"])
    assert mark is not None
    assert mark.provenance == loaded.session.results.provenance  # type: ignore[union-attr]


def test_an_error_is_one_sentence_with_the_rest_folded_away(loaded: Dock) -> None:
    click(loaded.explorer.run_panel.impute)
    loaded.engine.fail("The GPU ran out of memory; choose the CPU.", "Traceback: line 7")
    message = loaded.explorer.message
    assert message.text == "The GPU ran out of memory; choose the CPU."
    assert message.detail == "Traceback: line 7"
    assert loaded.explorer.model_panel.state.text() == "Failed"
    assert loaded.explorer.run_panel.impute.isEnabled()
    click(loaded.explorer.run_panel.impute)
    assert message.text == ""


def test_results_of_a_study_that_changed_never_reach_a_layer(loaded: Dock) -> None:
    click(loaded.explorer.run_panel.impute)
    del loaded.viewer.layers[1]
    loaded.engine.slab(1, 0, 7)
    loaded.engine.finish()
    assert not loaded.explorer.results.layers
    assert loaded.session.results is None


def test_a_result_layer_removed_in_the_middle_stays_away_until_asked_again(loaded: Dock) -> None:
    click(loaded.explorer.run_panel.impute)
    loaded.engine.slab(1, 0, 3)
    loaded.viewer.layers.remove(loaded.explorer.results.layers["imputed_FLAIR"])
    loaded.engine.slab(1, 3, 7)
    loaded.engine.finish()
    loaded.until(lambda: "residual_T2" in loaded.explorer.results.layers)
    assert "SYNTHETIC imputed FLAIR" not in loaded.names()
    click(loaded.explorer.run_panel.impute)
    loaded.engine.finish()
    assert "SYNTHETIC imputed FLAIR" in loaded.names()


def test_scrolling_while_it_runs_moves_what_is_computed_next(loaded: Dock) -> None:
    click(loaded.explorer.run_panel.impute)
    loaded.engine.progress(1, 9)
    loaded.viewer.dims.set_current_step(0, 5)
    assert [(v.axis, v.index) for v in loaded.engine.looked_at][-1] == (1, 5)
    loaded.viewer.dims.order = (2, 0, 1)
    # L is array axis 2 of this scan, which grows to the right.
    size = loaded.session.study.reference.voxels.shape[2]
    step = loaded.viewer.dims.current_step[2]
    assert loaded.engine.looked_at[-1].axis == 2
    assert loaded.engine.looked_at[-1].index == size - 1 - step


# ---- comparing -----------------------------------------------------------------------


def test_side_by_side_uncertainty_and_the_mark_on_the_canvas(loaded: Dock) -> None:
    from napari_medsyn.plugin.adapters import grid, text_overlay

    assert not text_overlay(loaded.viewer).visible
    click(loaded.explorer.run_panel.impute)
    loaded.engine.finish()
    loaded.until(lambda: len(loaded.explorer.results.layers) == 6)
    overlay = text_overlay(loaded.viewer)
    assert overlay.visible
    assert overlay.text.startswith("SYNTHETIC")
    click(loaded.explorer.comparison.uncertainty)
    layers = loaded.explorer.results.layers
    assert layers["uncertainty_FLAIR"].visible
    assert not layers["uncertainty_T1c"].visible  # its image lies beneath
    click(loaded.explorer.comparison.side_by_side)
    assert grid(loaded.viewer).enabled
    click(loaded.explorer.comparison.side_by_side)
    assert not grid(loaded.viewer).enabled
    grid(loaded.viewer).enabled = True  # by napari's own button
    assert loaded.explorer.comparison.side_by_side.isChecked()
    click(loaded.explorer.comparison.side_by_side)
    assert not grid(loaded.viewer).enabled
    for layer in layers.values():
        layer.visible = False
    assert not overlay.visible
    assert not loaded.explorer.comparison.uncertainty.isChecked()


def test_blink_shows_the_scans_while_it_is_held(loaded: Dock) -> None:
    click(loaded.explorer.run_panel.impute)
    loaded.engine.finish()
    layer = loaded.explorer.results.layers["imputed_FLAIR"]
    blink = loaded.explorer.comparison.blink
    QTest.mousePress(blink, Qt.MouseButton.LeftButton)
    assert not layer.visible
    QTest.mouseRelease(blink, Qt.MouseButton.LeftButton)
    assert layer.visible


# ---- saving --------------------------------------------------------------------------


def test_save_writes_on_a_thread_and_says_where(
    loaded: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nibabel

    click(loaded.explorer.run_panel.impute)
    loaded.engine.finish()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    click(loaded.explorer.run_panel.save)
    loaded.until(lambda: "Saved" in loaded.explorer.message.text)
    assert str(tmp_path) in loaded.explorer.message.text
    image = nibabel.load(tmp_path / "imputed_FLAIR.nii.gz")
    np.testing.assert_allclose(image.affine, loaded.session.study.reference.affine, atol=1e-5)
    np.testing.assert_allclose(
        image.get_fdata(), loaded.engine.arrays()["imputed_FLAIR"], rtol=1e-6
    )
    assert (tmp_path / "provenance.json").is_file()


def test_a_folder_that_cannot_be_written_is_told(loaded: Dock, tmp_path: Path) -> None:
    click(loaded.explorer.run_panel.impute)
    loaded.engine.finish()
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    loaded.explorer.save(blocked / "results")
    loaded.until(lambda: bool(loaded.explorer.message.text))
    assert str(blocked / "results") in loaded.explorer.message.text


# ---- several docks, and the end ------------------------------------------------------


def test_two_viewers_do_not_touch_each_other(make_dock: Callable[..., Dock]) -> None:
    one, other = make_dock(), make_dock()
    for dock in (one, other):
        dock.add(patient("T1"), patient("T2", seed=1))
    click(one.explorer.run_panel.impute)
    one.engine.finish()
    assert not other.engine.requests
    assert other.names() == ["T1", "T2"]
    slider = one.explorer.control_panel.editors["temperature"].slider
    slider.setValue(25)
    assert other.session.controls["temperature"] == pytest.approx(0.5)


def test_closing_the_viewer_while_it_runs_releases_everything(
    make_napari_viewer: Callable[..., Viewer], make_dock: Callable[..., Dock]
) -> None:
    dock = make_dock()
    connected = len(dock.viewer.layers.events.inserted.callbacks)
    dock.add(patient("T1"), patient("T2", seed=1))
    dock.explorer.run_panel.live.click()
    dock.engine.slab(1, 0, 3)
    layers, engine = dock.viewer.layers, dock.engine
    dock.viewer.close()
    dock.until(lambda: engine.closed)
    assert len(layers.events.inserted.callbacks) < connected
    engine.slab(1, 3, 7)
    engine.finish()


def test_a_dock_that_is_destroyed_is_collected(make_dock: Callable[..., Dock]) -> None:
    dock = make_dock()
    dock.add(patient("T1"), patient("T2", seed=1))
    click(dock.explorer.run_panel.impute)
    dock.engine.finish()
    gone = weakref.ref(dock.explorer)
    engine = dock.engine
    dock.viewer.window.remove_dock_widget(dock.explorer)
    dock.explorer.deleteLater()
    dock.until(lambda: engine.closed)
    del dock.explorer
    dock.until(lambda: gc.collect() >= 0 and gone() is None)


# ---- pixels --------------------------------------------------------------------------


def test_each_plane_is_shown_upright(loaded: Dock) -> None:
    from napari_medsyn.plugin.adapters import camera

    def vertical() -> str:
        return str(camera(loaded.viewer).orientation2d[0])

    planes = loaded.explorer.comparison.planes
    assert planes.buttons["Axial"].isChecked()
    assert vertical() == "down"  # rows grow to posterior
    click(planes.buttons["Coronal"])
    assert loaded.viewer.dims.order == (1, 0, 2)
    assert vertical() == "up"  # rows grow to superior
    click(planes.buttons["Sagittal"])
    assert loaded.viewer.dims.order == (2, 0, 1)
    assert vertical() == "up"
    loaded.viewer.dims.order = (0, 1, 2)
    assert planes.buttons["Axial"].isChecked()
    assert vertical() == "down"


@pytest.mark.gl
def test_axial_slices_have_anterior_up_and_the_patients_left_on_the_right(
    make_dock: Callable[..., Dock],
) -> None:
    dock = make_dock(show=True)
    voxels = np.zeros((12, 12, 12), np.int16)
    # Array axes point to posterior, superior, right: mark anterior-left on the middle plane.
    voxels[0:3, 3:7, 0:3] = 1000
    dock.add(make_scan(affine=make_affine("PSR", (2, 2, 2)), modality="T1", voxels=voxels))
    dock.viewer.layers[0].interpolation2d = "nearest"
    dock.viewer.dims.set_current_step(0, 6)
    shot = dock.viewer.screenshot(size=(400, 400), flash=False, canvas_only=True)[..., :3].mean(-1)
    assert shot.std() > 5, "the canvas is blank"
    row, column = np.argwhere(shot > 200).mean(axis=0)
    assert row < 200 < column
    # The marker lies a little inferior of the middle: below it on a coronal slice.
    dock.explorer.comparison.planes.show_plane("Coronal")
    dock.viewer.dims.set_current_step(1, 1)
    shot = dock.viewer.screenshot(size=(400, 400), flash=False, canvas_only=True)[..., :3].mean(-1)
    row, column = np.argwhere(shot > 200).mean(axis=0)
    assert column > 200
    assert row > 200
    assert to_display(dock.session.study.reference).array[6, 0, 11] == 1000


def test_the_dock_fits_into_320_pixels(loaded: Dock) -> None:
    loaded.viewer.window.show()
    explorer: Explorer = loaded.explorer
    explorer.resize(320, 900)
    inner = explorer.study_panel.parentWidget()
    assert explorer.minimumSizeHint().width() <= 320
    assert inner is not None
    assert inner.minimumSizeHint().width() <= 320
