"""Scan to layer and back, without a viewer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nibabel
import numpy as np
import pytest
from napari.layers import Image
from tests._builders import make_affine, make_scan

from napari_medsyn.errors import MedsynError
from napari_medsyn.plugin.layers import (
    KEY,
    Mark,
    contrast_limits,
    layer_name,
    mark_of,
    scan_from_layer,
    scan_layer_data,
    scan_to_write,
)
from napari_medsyn.scans.study import Scan

ORIENTATIONS = ["RAS", "LPS", "PSR", "SRA", "IAL", "ASL"]


def image(scan: Scan) -> Image:
    data, keywords, kind = scan_layer_data(scan)
    assert kind == "image"
    return Image(data, **keywords)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_layer_is_the_scan_in_s_p_l_order_without_a_copy(orientation: str) -> None:
    scan = make_scan(affine=make_affine(orientation))
    layer = image(scan)
    assert np.shares_memory(layer.data, scan.voxels)
    # nibabel's own reordering is the reference: axes S, P, L are array axes 0, 1, 2.
    start = nibabel.io_orientation(scan.affine)
    transform = nibabel.orientations.ornt_transform(start, nibabel.orientations.axcodes2ornt("SPL"))
    expected = nibabel.orientations.apply_orientation(scan.voxels, transform)
    np.testing.assert_array_equal(layer.data, expected)
    assert min(layer.scale) > 0


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_voxel_lies_in_the_world_where_the_affine_says(orientation: str) -> None:
    scan = make_scan(affine=make_affine(orientation))
    voxels = np.zeros(scan.voxels.shape, np.int16)
    voxels[1, 2, 3] = 1
    layer = image(make_scan(affine=scan.affine, voxels=voxels))
    right, anterior, superior, _ = scan.affine @ (1, 2, 3, 1)
    shown = layer.data_to_world(np.argwhere(layer.data)[0])
    np.testing.assert_allclose(shown, (superior, -anterior, -right))


def test_a_layer_of_ours_gives_its_own_scan_back() -> None:
    scan = make_scan()
    assert scan_from_layer(image(scan)) is scan


def test_a_changed_copy_of_our_layer_is_another_scan_in_the_same_place() -> None:
    scan = make_scan(affine=make_affine("PSR", tilt_degrees=9))
    layer = image(scan)
    layer.data = layer.data * 2
    changed = scan_from_layer(layer)
    assert changed.id != scan.id
    np.testing.assert_array_equal(changed.voxels, scan.voxels * 2)
    np.testing.assert_array_equal(changed.affine, scan.affine)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (None, [[0, 0, -1], [0, -2, 0], [3, 0, 0]]),
        (("R", "A", "S"), [[3, 0, 0], [0, 2, 0], [0, 0, 1]]),
        (("x", "y", "z"), [[0, 0, -1], [0, -2, 0], [3, 0, 0]]),
    ],
)
def test_world_axes_of_others_are_read_by_their_labels(labels: Any, expected: Any) -> None:
    layer = Image(np.zeros((4, 5, 6)), scale=(3, 2, 1), axis_labels=labels)
    np.testing.assert_allclose(scan_from_layer(layer).affine[:3, :3], expected)


def test_affine_and_units_of_other_readers_are_respected() -> None:
    affine = np.array([[2.0, 0, 0, 5], [0, 0, 3, 6], [0, -4, 0, 7], [0, 0, 0, 1]])
    layer = Image(np.zeros((4, 5, 6)), affine=affine, units=("um", "um", "um"))
    found = scan_from_layer(layer).affine
    # Index (i, j, k) lies at S, P, L = 2i + 5, 3k + 6, 7 - 4j micrometres.
    expected = np.array([[0, 4, 0, -7], [0, 0, -3, -6], [2, 0, 0, 5], [0, 0, 0, 1000.0]]) / 1000
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    "layer",
    [
        Image(np.zeros((5, 6)), name="flat"),
        Image(np.zeros((3, 4, 5, 6)), name="film"),
        Image(np.zeros((4, 5, 6, 3), np.uint8), rgb=True, name="photo"),
    ],
    ids=lambda layer: layer.name,
)
def test_what_is_no_grey_value_volume_is_refused_by_name(layer: Image) -> None:
    with pytest.raises(MedsynError, match=layer.name):
        scan_from_layer(layer)


def test_a_result_cannot_be_taken_as_a_scan() -> None:
    layer = image(make_scan())
    layer.metadata[KEY] = Mark("imputed", make_scan(), "FLAIR", {})
    with pytest.raises(MedsynError, match="result of a model"):
        scan_from_layer(layer)


def test_contrast_limits_are_the_files_window_or_the_brain() -> None:
    assert contrast_limits(make_scan(facts={"window": (40, 80)})) == (0, 80)
    voxels = np.zeros((20, 20, 20), np.float32)
    voxels[8:12, 8:12, 8:12] = np.linspace(10, 100, 64).reshape(4, 4, 4)
    low, high = contrast_limits(make_scan(voxels=voxels))
    assert low == 0
    assert 98 < high <= 100
    assert contrast_limits(make_scan(voxels=np.full((4, 5, 6), 7.0))) == (7, 8)
    assert contrast_limits(make_scan(voxels=np.full((4, 5, 6), np.nan))) == (0, 1)


# ---- what File > Save writes ---------------------------------------------------------


def attributes(layer: Image) -> dict[str, Any]:
    return layer.as_layer_data_tuple()[1]


def test_a_scan_is_written_as_it_was_read() -> None:
    scan = make_scan(affine=make_affine("PSR", tilt_degrees=9), facts={"sform_code": 4})
    layer = image(scan)
    written = scan_to_write(layer.data, attributes(layer))
    np.testing.assert_array_equal(written.voxels, scan.voxels)
    np.testing.assert_array_equal(written.affine, scan.affine)
    assert written.facts == scan.facts
    assert not written.is_synthetic


def test_a_result_is_written_on_the_patients_grid_with_its_provenance() -> None:
    reference = make_scan(affine=make_affine("PSR"))
    layer = image(reference)
    layer.metadata[KEY] = Mark("imputed", reference, "FLAIR", {"model": "m", "seed": 3})
    written = scan_to_write(layer.data, attributes(layer))
    np.testing.assert_array_equal(written.voxels, reference.voxels)
    assert written.is_synthetic
    assert written.modality == "FLAIR"
    assert written.facts["provenance"]["seed"] == 3


@pytest.mark.parametrize("what", ["unfinished", "unmarked", "cropped"])
def test_a_result_that_nobody_could_make_again_is_not_written(what: str) -> None:
    layer = image(make_scan())
    data = layer.data
    layer.metadata[KEY] = Mark("imputed", make_scan(), "FLAIR", {"model": "m"})
    layer.name = "SYNTHETIC imputed FLAIR"
    if what == "unfinished":
        layer.metadata[KEY] = Mark("imputed", make_scan(), "FLAIR")
    elif what == "unmarked":
        layer.metadata.clear()
    else:
        data = data[1:]
    with pytest.raises(MedsynError, match="SYNTHETIC imputed FLAIR"):
        scan_to_write(data, attributes(layer))


def test_a_layer_of_others_is_written_with_its_scale() -> None:
    layer = Image(np.zeros((4, 5, 6), np.float32), scale=(3, 2, 1), name="theirs")
    written = scan_to_write(layer.data, attributes(layer))
    np.testing.assert_allclose(written.affine[:3, :3], [[0, 0, -1], [0, -2, 0], [3, 0, 0]])
    assert mark_of(layer) is None


def test_the_layer_of_a_synthetic_scan_says_so() -> None:
    scan = make_scan()
    assert not layer_name(scan).startswith("SYNTHETIC")
    assert layer_name(replace(scan, is_synthetic=True, name="sample_T1")) == "SYNTHETIC sample_T1"
    assert layer_name(replace(scan, is_synthetic=True, name="SYNTHETIC x")) == "SYNTHETIC x"
