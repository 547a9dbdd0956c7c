"""NRRD and MetaImage files, good and bad, written by SimpleITK or by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from tests._builders import make_affine, make_voxels
from tests.scans._refused import refused

from napari_medsyn.scans.reading import read_scan

ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")


def write_itk(path: Path, voxels=None, affine=None, *, compress: bool = False) -> Path:
    """Write (X, Y, Z) voxels with a RAS+ affine by SimpleITK alone."""
    voxels = make_voxels() if voxels is None else voxels
    lps = np.diag([-1.0, -1, 1, 1]) @ (make_affine() if affine is None else affine)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    SimpleITK.WriteImage(image, str(path), compress)
    return path


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "affine",
    [make_affine(), make_affine("PSR"), make_affine("LPS", tilt_degrees=12)],
    ids=["straight", "sagittal", "tilted"],
)
def test_voxels_and_affine(tmp_path: Path, ending: str, affine, compress: bool) -> None:
    scan = read_scan(write_itk(tmp_path / f"T2_tse{ending}", affine=affine, compress=compress))
    np.testing.assert_allclose(scan.affine, affine, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(scan.voxels, make_voxels())
    assert scan.voxels.dtype == np.int16
    assert (scan.name, scan.modality) == ("T2_tse", "T2")
    assert scan.facts["notes"] == ()


def nrrd(path: Path, *fields: str, voxels: bytes | None = None) -> Path:
    """An NRRD file of 2 x 3 x 4 shorts 0 … 23, its header by hand."""
    data = np.arange(24, dtype="<i2").tobytes() if voxels is None else voxels
    head = ["NRRD0004", "type: short", "dimension: 3", "sizes: 2 3 4", "encoding: raw", *fields]
    path.write_bytes("\n".join([*head, "", ""]).encode() + data)
    return path


def test_a_right_anterior_superior_space_needs_no_flip(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd", "space: right-anterior-superior", "endian: little",
                "space directions: (1,0,0) (0,2,0) (0,0,3)", "space origin: (5,6,7)")  # fmt: skip
    scan = read_scan(path)
    assert scan.affine.tolist() == [[1, 0, 0, 5], [0, 2, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]]
    # The first axis is the fastest in the file.
    np.testing.assert_array_equal(scan.voxels, np.arange(24).reshape(4, 3, 2).T)


def test_a_sheared_space_is_kept_exactly(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd", "space: right-anterior-superior", "endian: little",
                "space directions: (1,0,0) (0,2,0) (1,0,3)", "space origin: (5,6,7)")  # fmt: skip
    np.testing.assert_allclose(read_scan(path).affine[:3, 2], [1, 0, 3], atol=1e-12)


def test_no_space_is_told(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd", "spacings: 1 2 3", "endian: little")
    assert "no anatomical space" in read_scan(path).facts["notes"][0]


def test_big_endian(tmp_path: Path) -> None:
    data = np.arange(24, dtype=">i2").tobytes()
    path = nrrd(tmp_path / "a.nrrd", "spacings: 1 2 3", "endian: big", voxels=data)
    scan = read_scan(path)
    assert scan.voxels.dtype.isnative
    np.testing.assert_array_equal(scan.voxels, np.arange(24).reshape(4, 3, 2).T)


def test_a_fourth_axis_of_one_is_dropped(tmp_path: Path) -> None:
    four = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(make_voxels().T)])
    SimpleITK.WriteImage(four, str(tmp_path / "a.nrrd"))
    np.testing.assert_array_equal(read_scan(tmp_path / "a.nrrd").voxels, make_voxels())


def test_missing_values_become_zero(tmp_path: Path) -> None:
    voxels = make_voxels(dtype=np.float32)
    voxels[1, 2, 3] = np.nan
    scan = read_scan(write_itk(tmp_path / "a.mha", voxels))
    assert scan.voxels[1, 2, 3] == 0
    assert scan.facts["notes"] == ("1 voxels without a finite value were set to 0",)


# ---------------------------------------------------------------- refused


def test_four_dimensional(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(make_voxels().T)
    SimpleITK.WriteImage(SimpleITK.JoinSeries([image, image]), str(tmp_path / "a.nrrd"))
    refused(tmp_path / "a.nrrd", "4-D", "8 × 9 × 10 × 2")


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_colour(tmp_path: Path, ending: str) -> None:
    rgb = np.zeros((10, 9, 8, 3), np.uint8)
    rgb[..., 0] = make_voxels().T % 256
    path = tmp_path / f"a{ending}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(rgb, isVector=True), str(path))
    refused(path, "colour image (RGB)")


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_two_dimensional(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(make_voxels()[:, :, 0]), str(path))
    refused(path, "2-D")


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_constant(tmp_path: Path, ending: str) -> None:
    refused(write_itk(tmp_path / f"a{ending}", np.zeros((4, 5, 6), np.int16)), "same value, 0")


@pytest.mark.parametrize("third", ["(0,0,0)", "(0,0,nan)", "(0,0,inf)", "(2,0,0)"])
def test_singular_or_endless_directions(tmp_path: Path, third: str) -> None:
    path = nrrd(tmp_path / "a.nrrd", "space: right-anterior-superior", "endian: little",
                f"space directions: (1,0,0) (0,2,0) {third}", "space origin: (5,6,7)")  # fmt: skip
    refused(path)


@pytest.mark.parametrize(("ending", "data"), [(".nhdr", ".raw"), (".mhd", ".raw")])
def test_a_missing_data_file_is_named(tmp_path: Path, ending: str, data: str) -> None:
    path = write_itk(tmp_path / f"a{ending}")
    (tmp_path / f"a{data}").unlink()
    refused(path, f"a{data}", "missing")


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_a_short_data_file(tmp_path: Path, ending: str) -> None:
    path = write_itk(tmp_path / f"a{ending}")
    data = tmp_path / "a.raw"
    data.write_bytes(data.read_bytes()[:-10])
    refused(path)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_every_truncated_prefix_is_refused_in_silence(
    tmp_path: Path, ending: str, compress: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    voxels = make_voxels((4, 5, 6))
    whole = write_itk(tmp_path / f"whole{ending}", voxels, compress=compress).read_bytes()
    path = tmp_path / f"cut{ending}"
    # The last bytes of a gzip stream are a checksum, which NRRD's reader does not ask for.
    for length in range(0, len(whole) - 16, 13):
        path.write_bytes(whole[:length])
        refused(path)
    assert capfd.readouterr().err == ""
