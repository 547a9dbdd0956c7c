"""NIfTI files, good and bad; nibabel writes them and says what is right."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests._builders import make_affine, make_voxels, write_nifti
from tests.scans._refused import refused

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.reading import read_scan

AFFINES = {
    "straight": make_affine(),
    "radiological": make_affine("LAS"),
    "sagittal": make_affine("PSR"),
    "tilted": make_affine("LPS", tilt_degrees=12),
    "sheared": make_affine(shear=0.3),
}


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES.keys())
def test_voxels_and_affine_are_those_of_nibabel(tmp_path: Path, ending: str, affine) -> None:
    path = write_nifti(tmp_path / f"T1{ending}", affine=affine)
    scan = read_scan(path)
    expected = nibabel.load(path)
    assert scan.affine.tobytes() == (expected.affine + 0.0).tobytes()
    assert scan.voxels.dtype == np.int16
    np.testing.assert_array_equal(scan.voxels, make_voxels())
    assert scan.source == path
    assert (scan.name, scan.modality) == ("T1", "T1")
    assert not scan.is_synthetic
    assert scan.facts["notes"] == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32,
                                   np.int64, np.float32, np.float64])  # fmt: skip
@pytest.mark.parametrize("big_endian", [False, True])
def test_stored_numbers_keep_type_and_value(tmp_path: Path, dtype, big_endian: bool) -> None:
    voxels = (make_voxels() % 120).astype(dtype)
    scan = read_scan(write_nifti(tmp_path / "a.nii", voxels, big_endian=big_endian))
    assert scan.voxels.dtype == np.dtype(dtype)
    assert scan.voxels.dtype.isnative
    np.testing.assert_array_equal(scan.voxels, voxels)


def test_scaled_integers_become_float32(tmp_path: Path) -> None:
    voxels = make_voxels()
    scan = read_scan(write_nifti(tmp_path / "a.nii.gz", voxels, scaling=(0.5, -100.0)))
    assert scan.voxels.dtype == np.float32
    np.testing.assert_array_equal(scan.voxels, (voxels * 0.5 - 100).astype(np.float32))


def test_scaling_by_one_is_none(tmp_path: Path) -> None:
    assert read_scan(write_nifti(tmp_path / "a.nii", scaling=(1, 0))).voxels.dtype == np.int16


def test_nifti_2(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti2Image(make_voxels(), make_affine("LPS")), path)
    np.testing.assert_array_equal(read_scan(path).affine, make_affine("LPS"))


@pytest.mark.parametrize(("written", "name"), [("a.nii", "b.nii.gz"), ("a.nii.gz", "b.nii")])
def test_compression_is_known_by_content(tmp_path: Path, written: str, name: str) -> None:
    path = write_nifti(tmp_path / written).rename(tmp_path / name)
    np.testing.assert_array_equal(read_scan(path).voxels, make_voxels())


def test_codes_are_kept(tmp_path: Path) -> None:
    facts = read_scan(write_nifti(tmp_path / "a.nii", codes=(4, 2))).facts
    assert (facts["sform_code"], facts["qform_code"]) == (4, 2)


def test_qform_alone(tmp_path: Path) -> None:
    affine = make_affine("LPS", tilt_degrees=12)
    scan = read_scan(write_nifti(tmp_path / "a.nii", affine=affine, codes=(0, 1)))
    np.testing.assert_allclose(scan.affine, affine, atol=1e-4)


def test_neither_sform_nor_qform_is_read_with_a_warning(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", codes=(0, 0))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.affine, nibabel.load(path).affine)
    assert "left and right may be exchanged" in scan.facts["notes"][0]


def test_sform_and_qform_that_disagree_are_told(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii")
    image = nibabel.load(path)
    moved = make_affine(origin=(0, 11, -13))
    image.set_qform(moved, 1)
    nibabel.save(image, tmp_path / "b.nii")
    scan = read_scan(tmp_path / "b.nii")
    np.testing.assert_array_equal(scan.affine, make_affine())
    assert "differ by up to 7.0 mm" in scan.facts["notes"][0]


@pytest.mark.parametrize(("unit", "factor"), [("micron", 1e-3), ("meter", 1e3)])
def test_other_units_become_millimetres(tmp_path: Path, unit: str, factor: float) -> None:
    image = nibabel.Nifti1Image(make_voxels(), make_affine())
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii")
    np.testing.assert_allclose(scan.affine[:3], make_affine()[:3] * factor)
    assert "converted to millimetres" in scan.facts["notes"][0]


def test_a_broken_qform_beside_a_good_sform(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii")
    data = bytearray(path.read_bytes())
    data[256:268] = np.array([3.0, 4.0, 5.0], "<f4").tobytes()  # no unit quaternion
    path.write_bytes(data)
    np.testing.assert_array_equal(read_scan(path).affine, make_affine())


def test_an_unknown_unit_is_no_reason(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii")
    data = bytearray(path.read_bytes())
    data[123] = 0xFF
    path.write_bytes(data)
    np.testing.assert_array_equal(read_scan(path).affine, make_affine())


def test_trailing_axes_of_one_are_dropped(tmp_path: Path) -> None:
    voxels = make_voxels()
    scan = read_scan(write_nifti(tmp_path / "a.nii", voxels[..., None, None]))
    np.testing.assert_array_equal(scan.voxels, voxels)


def test_missing_values_become_zero_with_a_note(tmp_path: Path) -> None:
    voxels = make_voxels(dtype=np.float32)
    voxels[1, 2, 3], voxels[0, 0, 0], voxels[7, 8, 9] = np.nan, np.inf, -np.inf
    scan = read_scan(write_nifti(tmp_path / "a.nii", voxels))
    assert scan.voxels[1, 2, 3] == scan.voxels[0, 0, 0] == scan.voxels[7, 8, 9] == 0
    assert scan.facts["notes"] == ("3 voxels without a finite value were set to 0",)
    np.testing.assert_array_equal(scan.voxels[2:6], voxels[2:6])


def test_a_bids_sidecar_helps_the_guess(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "scan7.nii.gz")
    (tmp_path / "scan7.json").write_text(
        '{"SeriesDescription": "ax t1_tse", "ContrastBolusIngredient": "GADOLINIUM"}'
    )
    assert read_scan(path).modality == "T1c"


@pytest.mark.parametrize("text", ["", "[1, 2]", "{not json", '{"EchoTime": "x"}', "[" * 100_000])
def test_a_bad_sidecar_does_no_harm(tmp_path: Path, text: str) -> None:
    path = write_nifti(tmp_path / "a.nii")
    (tmp_path / "a.json").write_text(text)
    assert read_scan(path).modality == ""


# ---------------------------------------------------------------- refused


def test_four_dimensional(tmp_path: Path) -> None:
    series = np.stack([make_voxels(), make_voxels(seed=1)], axis=3)
    refused(write_nifti(tmp_path / "a.nii", series), "4-D", "8 × 9 × 10 × 2", "save the one")


def test_colour(tmp_path: Path) -> None:
    rgb = np.zeros((8, 9, 10), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgb["R"] = make_voxels() % 256
    nibabel.save(nibabel.Nifti1Image(rgb, make_affine()), tmp_path / "a.nii")
    refused(tmp_path / "a.nii", "colour image (RGB)")


def test_complex(tmp_path: Path) -> None:
    voxels = (make_voxels() * (1 + 2j)).astype(np.complex64)
    refused(write_nifti(tmp_path / "a.nii", voxels), "complex", "magnitude")


def test_nothing_finite(tmp_path: Path) -> None:
    voxels = np.full((8, 9, 10), np.nan, dtype=np.float32)
    refused(write_nifti(tmp_path / "a.nii", voxels), "no voxel has a finite value")


@pytest.mark.parametrize("value", [0, 7])
def test_constant(tmp_path: Path, value: int) -> None:
    voxels = np.full((8, 9, 10), value, dtype=np.int16)
    refused(write_nifti(tmp_path / "a.nii", voxels), f"same value, {value}")


def with_sform(path: Path, rows: np.ndarray) -> Path:
    """The file with the 3 x 4 numbers of its sform overwritten (bytes 280 to 327)."""
    data = bytearray(path.read_bytes())
    data[280:328] = rows.astype("<f4").tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_affine_that_is_not_finite(tmp_path: Path, value: float) -> None:
    rows = make_affine()[:3].copy()
    rows[1, 1] = value
    refused(with_sform(write_nifti(tmp_path / "a.nii"), rows), "infinite or missing")


def test_affine_with_an_axis_of_no_length(tmp_path: Path) -> None:
    rows = make_affine()[:3].copy()
    rows[:, 2] = 0
    refused(with_sform(write_nifti(tmp_path / "a.nii"), rows), "singular")


def test_affine_with_two_equal_axes(tmp_path: Path) -> None:
    rows = make_affine()[:3].copy()
    rows[:, 2] = 2 * rows[:, 0]
    refused(with_sform(write_nifti(tmp_path / "a.nii"), rows), "singular")


def test_a_shape_that_the_file_cannot_hold(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii")
    data = bytearray(path.read_bytes())
    data[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()
    path.write_bytes(data)
    refused(path, "damaged or cut short", "30000")
    packed = tmp_path / "b.nii.gz"
    packed.write_bytes(gzip.compress(bytes(data)))
    refused(packed, "damaged or cut short", "30000")


def test_half_of_a_pair(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Pair(make_voxels(), make_affine()), tmp_path / "a.hdr")
    (tmp_path / "a.hdr").rename(tmp_path / "a.nii")
    refused(tmp_path / "a.nii", "header of a NIfTI pair")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_every_truncated_prefix_is_refused(tmp_path: Path, ending: str) -> None:
    whole = write_nifti(tmp_path / f"whole{ending}", make_voxels((4, 5, 6))).read_bytes()
    path = tmp_path / f"cut{ending}"
    for length in range(0, len(whole) - 8, 7):
        path.write_bytes(whole[:length])
        refused(path)


def test_damaged_bytes_are_read_or_refused_but_never_raise_else(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    whole = np.frombuffer(write_nifti(tmp_path / "a.nii").read_bytes(), np.uint8)
    path = tmp_path / "b.nii"
    for _ in range(300):
        damaged = whole.copy()
        damaged[rng.integers(0, 352, 4)] = rng.integers(0, 256, 4)
        path.write_bytes(damaged.tobytes())
        try:
            read_scan(path)
        except UnusableFile:
            continue
