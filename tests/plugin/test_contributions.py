"""What napari calls by the manifest: readers, writers, commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from napari.layers import Image
from tests._builders import make_affine, make_voxels, write_dicom_series, write_nifti

from napari_medsyn.plugin import contributions
from napari_medsyn.plugin.layers import KEY


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the user is told in notifications."""
    sentences: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_error", sentences.append)
    return sentences


def test_a_nifti_goes_through_napari_and_back_unchanged(tmp_path: Path, told: list[str]) -> None:
    affine = make_affine("LAS", (1.5, 1.0, 4.0), tilt_degrees=15)
    path = write_nifti(tmp_path / "t1.nii.gz", affine=affine, codes=(1, 2))
    reader = contributions.get_reader(str(path))
    assert reader is not None
    ((data, keywords, kind),) = reader(str(path))
    layer = Image(data, **keywords)
    out = tmp_path / "copy.nii.gz"
    assert contributions.write_nifti(str(out), *layer.as_layer_data_tuple()[:2]) == [str(out)]
    before, after = nibabel.load(path), nibabel.load(out)
    np.testing.assert_array_equal(after.get_fdata(), before.get_fdata())
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-6)
    assert (after.header["sform_code"], after.header["qform_code"]) == (1, 2)
    assert (kind, told) == ("image", [])


def test_an_nrrd_is_written_where_the_patient_lies(tmp_path: Path) -> None:
    import SimpleITK

    path = write_nifti(tmp_path / "t1.nii", affine=make_affine("PSR"))
    ((data, keywords, _),) = contributions.read_layers(str(path))
    out = tmp_path / "t1.nrrd"
    assert contributions.write_nrrd(str(out), data, keywords) == [str(out)]
    image = SimpleITK.ReadImage(str(out))
    # ITK's world is LPS: x and y of the affine change sign.
    np.testing.assert_allclose(image.GetOrigin(), np.array([-1, -1, 1]) * make_affine("PSR")[:3, 3])


def test_a_dicom_folder_is_taken_and_a_folder_of_others_is_left(tmp_path: Path) -> None:
    series = tmp_path / "series"
    series.mkdir()
    write_dicom_series(series)
    reader = contributions.get_reader(str(series))
    assert reader is not None
    ((data, keywords, _),) = reader(str(series))
    assert data.ndim == 3
    assert keywords["metadata"][KEY].role == "scan"
    others = tmp_path / "others"
    others.mkdir()
    (others / "notes.txt").write_text("nothing to see")
    assert contributions.get_reader(str(others)) is None


def test_a_torn_file_is_one_sentence_and_no_layer(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "torn.nii.gz"
    path.write_bytes(b"\x1f\x8b torn")
    assert contributions.read_layers(str(path)) == [(None,)]
    (sentence,) = told
    assert "torn.nii.gz" in sentence
    assert "\n" not in sentence


def test_a_label_map_becomes_a_labels_layer_that_can_be_painted(tmp_path: Path) -> None:
    voxels = (make_voxels() % 3).astype(np.uint8)
    path = write_nifti(tmp_path / "lesion_mask.nii", voxels=voxels)
    ((data, _, kind),) = contributions.read_layers(str(path))
    assert kind == "labels"
    data[0, 0, 0] = 1


def test_a_refused_layer_leaves_no_file(tmp_path: Path, told: list[str]) -> None:
    layer = Image(np.zeros((4, 5, 6)), name="SYNTHETIC imputed FLAIR")
    out = tmp_path / "flair.nii.gz"
    data_and_attributes: tuple[Any, ...] = layer.as_layer_data_tuple()[:2]
    assert contributions.write_nifti(str(out), *data_and_attributes) == []
    assert not list(tmp_path.iterdir())
    assert "lost the mark" in told[0]


def test_the_sample_patient_lacks_what_the_demo_imputes() -> None:
    layers = contributions.sample_patient()
    marks = [keywords["metadata"][KEY] for _, keywords, _ in layers]
    assert {mark.modality for mark in marks if mark.role == "scan"} >= {"T1", "T2"}
    assert "FLAIR" not in {mark.modality for mark in marks}
    assert all(mark.is_synthetic for mark in marks)
