"""DICOM series that cannot be a volume, or only almost: what is said of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from tests._builders import (
    dicom_slice,
    make_affine,
    make_scan,
    make_voxels,
    write_dicom_series,
    write_enhanced_dicom,
)
from tests.scans._refused import edit, refused

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.reading import read_scan


def test_gantry_tilt_is_kept_as_shear(tmp_path: Path) -> None:
    affine = make_affine("LPS", spacing=(1, 1, 5))
    affine[:3, 2] = [0, 5 * np.tan(np.deg2rad(20)), 5]
    source = make_scan(affine=affine)
    write_dicom_series(tmp_path, source, Modality="CT")
    scan = read_scan(tmp_path)
    np.testing.assert_allclose(scan.affine, affine, atol=1e-6)
    np.testing.assert_array_equal(scan.voxels, source.voxels)
    assert scan.facts["notes"] == ("gantry tilt of 20.0 degrees, kept in the affine",)


def test_missing_slice(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, skip=[4], SeriesDescription="T1")
    refused(tmp_path, "'T1'", "1 slice missing", "5.00 mm between slices 4 and 5", "2.50 mm")


def test_several_missing_slices(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, skip=[4, 5, 6])
    refused(tmp_path, "3 slices missing")


def test_varying_slice_distance(tmp_path: Path) -> None:
    files = write_dicom_series(tmp_path)

    def move(dataset: pydicom.Dataset) -> None:
        dataset.ImagePositionPatient[2] += 0.15 * dataset.InstanceNumber

    for file in files[5:]:
        edit(file, move)
    refused(tmp_path, "distance between slices varies")


def test_a_slice_distance_that_changes_slightly_midway(tmp_path: Path) -> None:
    per_slice = [[0, 0, 2.5 * k + 0.1 * max(0, k - 5)] for k in range(10)]
    write_dicom_series(tmp_path, per_slice={"ImagePositionPatient": per_slice})
    refused(tmp_path, "distance between slices varies from 2.50 to 2.60 mm")


def test_slices_shifted_sideways(tmp_path: Path) -> None:
    file = write_dicom_series(tmp_path)[4]
    edit(file, lambda d: d.ImagePositionPatient.__setitem__(0, 40.0))
    refused(tmp_path, "shifted sideways")


def test_rounded_positions_are_no_reason(tmp_path: Path) -> None:
    source = make_scan(affine=make_affine("LPS", spacing=(1, 1, 2.53)))
    for file in write_dicom_series(tmp_path, source):
        dataset = pydicom.dcmread(file)
        dataset.ImagePositionPatient = [round(float(v), 1) for v in dataset.ImagePositionPatient]
        dataset.save_as(file)
    np.testing.assert_allclose(read_scan(tmp_path).grid.spacing[2], 2.53, atol=0.02)


def test_copies_of_slices_are_dropped(tmp_path: Path) -> None:
    source = make_scan(affine=make_affine("LPS"))
    files = write_dicom_series(tmp_path, source)
    (tmp_path / "copy of 2.dcm").write_bytes(files[2].read_bytes())
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, source.voxels)
    for number, file in enumerate(files):
        (tmp_path / f"all again {number}.dcm").write_bytes(file.read_bytes())
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, source.voxels)


def test_different_images_at_one_position(tmp_path: Path) -> None:
    files = write_dicom_series(tmp_path)
    dataset = pydicom.dcmread(files[3])
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(tmp_path / "other.dcm")
    refused(tmp_path, "different images at the same position")


def test_time_points_in_one_series(tmp_path: Path) -> None:
    uid = pydicom.uid.generate_uid()
    for moment in range(3):
        write_dicom_series(
            tmp_path, make_scan(seed=moment), prefix=f"T{moment}", SeriesInstanceUID=uid,
            TemporalPositionIdentifier=moment,
        )  # fmt: skip
    refused(tmp_path, "4-D, 3 volumes")


def test_several_orientations(tmp_path: Path) -> None:
    uid = pydicom.uid.generate_uid()
    for letters in ("LPS", "PIR", "LIP"):
        write_dicom_series(tmp_path, make_scan((8, 8, 3), make_affine(letters)), prefix=letters,
                           SeriesInstanceUID=uid)  # fmt: skip
    refused(tmp_path, "several orientations")


def test_several_sizes(tmp_path: Path) -> None:
    uid = pydicom.uid.generate_uid()
    for shape in ((8, 9, 3), (9, 8, 3)):
        write_dicom_series(tmp_path, make_scan(shape), prefix=f"{shape[0]}", SeriesInstanceUID=uid)
    refused(tmp_path, "different sizes")


def test_colour(tmp_path: Path) -> None:
    rgb = np.zeros((9, 8, 3), np.uint8)
    dicom_slice(rgb, (0, 0, 0), (1, 0, 0, 0, 1, 0), (1, 1), {}).save_as(
        tmp_path / "a.dcm", enforce_file_format=True
    )
    refused(tmp_path / "a.dcm", "colour image (RGB)")


@pytest.mark.parametrize(
    "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
)
def test_no_place_in_the_patient(tmp_path: Path, keyword: str) -> None:
    for file in write_dicom_series(tmp_path):
        edit(file, lambda d: delattr(d, keyword))
    refused(tmp_path, "no position, orientation or pixel spacing")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
        ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
        ("PixelSpacing", [0, 1]),
        ("ModalityLUTSequence", [pydicom.Dataset()]),
    ],
)
def test_headers_that_make_no_image(tmp_path: Path, keyword: str, value: Any) -> None:
    path = write_dicom_series(tmp_path)[0]
    edit(path, lambda d: setattr(d, keyword, value))
    refused(path)


def test_no_pixel_data(tmp_path: Path) -> None:
    path = write_dicom_series(tmp_path)[0]
    edit(path, lambda d: delattr(d, "PixelData"))
    refused(path, "no pixel data")


def test_no_image_at_all(tmp_path: Path) -> None:
    path = write_dicom_series(tmp_path)[0]
    edit(path, lambda d: delattr(d, "Rows"))
    refused(path, "without an image")


def test_one_damaged_slice_is_named(tmp_path: Path) -> None:
    file = write_dicom_series(tmp_path)[3]
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UnusableFile, match=f"{file.name}: its pixels are damaged or cut short"):
        read_scan(tmp_path)


def test_constant(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, make_scan(voxels=np.full((8, 9, 10), 5, np.int16)))
    refused(tmp_path, "same value, 5")


@pytest.mark.parametrize("kind", ["classic", "enhanced"])
def test_every_truncated_prefix_is_refused(tmp_path: Path, kind: str) -> None:
    source = make_scan((4, 5, 3))
    if kind == "classic":
        whole = write_dicom_series(tmp_path / "whole", source)[0].read_bytes()
    else:
        whole = write_enhanced_dicom(tmp_path / "whole.dcm", source).read_bytes()
    path = tmp_path / "cut.dcm"
    for length in range(0, len(whole) - 2, 11):
        path.write_bytes(whole[:length])
        refused(path)


def test_damaged_bytes_are_read_or_refused_but_never_raise_else(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    whole = np.frombuffer(write_dicom_series(tmp_path / "a")[0].read_bytes(), np.uint8)
    path = tmp_path / "b.dcm"
    for _ in range(200):
        damaged = whole.copy()
        damaged[rng.integers(128, len(whole), 5)] = rng.integers(0, 256, 5)
        path.write_bytes(damaged.tobytes())
        try:
            read_scan(path)
        except UnusableFile:
            continue


def test_an_overlay_in_the_high_bits_is_no_part_of_the_image(tmp_path: Path) -> None:
    voxels = make_voxels(dtype=np.uint16)
    drawn = voxels.copy()
    drawn[2:5, 3:6] |= 1 << 12
    source = make_scan(affine=make_affine("LPS"), voxels=drawn)
    for file in write_dicom_series(tmp_path, source, BitsStored=12, HighBit=11):
        edit(file, lambda d: d.add_new(0x60000102, "US", 12))
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, voxels)
