"""What is written is what comes back; what is there stays; what is synthetic says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from tests._builders import make_affine, make_scan, write_nifti

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans import nifti
from napari_medsyn.scans.reading import read_scan
from napari_medsyn.scans.writing import write_scan

ENDINGS = (".nii", ".nii.gz", ".nrrd")
AFFINES = {
    "straight": make_affine(),
    "sagittal": make_affine("PSR"),
    "tilted": make_affine("LPS", tilt_degrees=12),
    "sheared": make_affine(shear=0.25),
}
PROVENANCE = {"model": "some-model", "seed": 7, "controls": {"temperature": 0.5}}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES.keys())
def test_round_trip(tmp_path: Path, ending: str, affine) -> None:
    scan = make_scan(affine=affine, modality="FLAIR")
    again = read_scan(write_scan(scan, tmp_path / f"FLAIR{ending}"))
    assert again.voxels.dtype == scan.voxels.dtype
    assert again.voxels.tobytes() == scan.voxels.tobytes()
    exactness = 1e-12 if ending == ".nrrd" else 1e-5  # NIfTI's affine is float32
    np.testing.assert_allclose(again.affine, affine, rtol=0, atol=exactness)
    assert not again.is_synthetic


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES.keys())
def test_an_affine_read_from_nifti_is_written_back_to_the_byte(tmp_path: Path, affine) -> None:
    scan = read_scan(write_nifti(tmp_path / "a.nii", affine=affine))
    again = read_scan(write_scan(scan, tmp_path / "b.nii.gz"))
    assert again.affine.tobytes() == scan.affine.tobytes()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int64, np.float16,
                                   np.float32, np.float64])  # fmt: skip
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_type_keeps_its_values(tmp_path: Path, ending: str, dtype) -> None:
    scan = make_scan(dtype=dtype)
    again = read_scan(write_scan(scan, tmp_path / f"a{ending}"))
    np.testing.assert_array_equal(again.voxels, scan.voxels.astype(again.voxels.dtype))
    assert again.voxels.dtype.kind == ("u" if dtype is bool else np.dtype(dtype).kind)


@pytest.mark.parametrize(
    ("codes", "written"),
    [
        ((4, 2), (4, 2)),
        ((1, 1), (1, 1)),
        ((2, 0), (2, 2)),
        ((0, 3), (3, 3)),
        ((0, 0), (0, 0)),
    ],
)
def test_codes_are_those_of_the_source(tmp_path: Path, codes, written) -> None:
    scan = read_scan(write_nifti(tmp_path / "a.nii", codes=codes))
    header = nibabel.load(write_scan(scan, tmp_path / "b.nii")).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == written
    np.testing.assert_allclose(read_scan(tmp_path / "b.nii").affine, scan.affine, atol=1e-5)


def test_sform_and_qform_say_the_same(tmp_path: Path) -> None:
    scan = make_scan(affine=make_affine("LPS", tilt_degrees=12))
    image = nibabel.load(write_scan(scan, tmp_path / "a.nii"))
    np.testing.assert_allclose(image.get_sform(), scan.affine, atol=1e-5)
    np.testing.assert_allclose(image.get_qform(), scan.affine, atol=1e-4)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_a_sheared_affine_is_in_the_sform_alone(tmp_path: Path) -> None:
    scan = make_scan(affine=make_affine(shear=0.25))
    header = nibabel.load(write_scan(scan, tmp_path / "a.nii")).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)


# ---------------------------------------------------------------- synthetic


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_synthetic_scan_comes_back_as_one(tmp_path: Path, ending: str) -> None:
    scan = make_scan(modality="FLAIR", is_synthetic=True, facts={"provenance": PROVENANCE})
    again = read_scan(write_scan(scan, tmp_path / f"imputed_FLAIR{ending}"))
    assert again.is_synthetic
    assert again.facts["provenance"] == {"SYNTHETIC": True, **PROVENANCE}
    assert again.modality == "FLAIR"


def test_the_mark_in_nifti_is_seen_by_others(tmp_path: Path) -> None:
    scan = make_scan(modality="FLAIR", is_synthetic=True, facts={"provenance": PROVENANCE})
    header = nibabel.load(write_scan(scan, tmp_path / "a.nii.gz")).header
    assert bytes(header["descrip"]).startswith(b"SYNTHETIC FLAIR | some-model | seed 7")
    (extension,) = header.extensions
    assert extension.get_code() == 6
    assert json.loads(extension.get_content())["model"] == "some-model"


def test_the_mark_in_nrrd_is_seen_by_others(tmp_path: Path) -> None:
    scan = make_scan(modality="FLAIR", is_synthetic=True, facts={"provenance": PROVENANCE})
    image = SimpleITK.ReadImage(str(write_scan(scan, tmp_path / "a.nrrd")))
    assert image.GetMetaData("SYNTHETIC").startswith("SYNTHETIC FLAIR")


def test_the_description_alone_is_enough(tmp_path: Path) -> None:
    assert read_scan(write_nifti(tmp_path / "a.nii", descrip="Synthetic T1")).is_synthetic
    assert not read_scan(write_nifti(tmp_path / "b.nii", descrip="FSL5.0")).is_synthetic


def test_the_sidecar_alone_is_enough(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii.gz")
    (tmp_path / "a.json").write_text('{"SYNTHETIC": true, "seed": 3}')
    scan = read_scan(path)
    assert scan.is_synthetic
    assert scan.facts["provenance"]["seed"] == 3


def test_a_long_model_name_fits_the_description(tmp_path: Path) -> None:
    facts = {"provenance": {"model": "m" * 200}}
    scan = make_scan(is_synthetic=True, facts=facts)
    assert read_scan(write_scan(scan, tmp_path / "a.nii")).facts["provenance"]["model"] == "m" * 200


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_constant_synthetic_scan_can_be_opened_again(tmp_path: Path, ending: str) -> None:
    scan = make_scan(voxels=np.zeros((4, 5, 6), np.float32), is_synthetic=True)
    assert read_scan(write_scan(scan, tmp_path / f"a{ending}")).voxels.max() == 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_scan_makes_the_same_bytes(tmp_path: Path, ending: str) -> None:
    scan = make_scan(is_synthetic=True, facts={"provenance": PROVENANCE})
    one, two = (write_scan(scan, tmp_path / f"{name}{ending}").read_bytes() for name in "ab")
    assert one == two


# ---------------------------------------------------------------- files that are there


def test_an_existing_file_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"precious")
    with pytest.raises(UnusableFile, match="exists already"):
        write_scan(make_scan(), path)
    assert path.read_bytes() == b"precious"
    write_scan(make_scan(), path, overwrite=True)
    np.testing.assert_array_equal(read_scan(path).voxels, make_scan().voxels)


def test_a_source_is_never_replaced(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "T1.nii")
    before = path.read_bytes()
    with pytest.raises(UnusableFile, match="source scan was read from this file"):
        write_scan(read_scan(path), tmp_path / "." / "T1.nii", overwrite=True)
    with pytest.raises(UnusableFile, match="source scan was read from this file"):
        write_scan(make_scan(), path, overwrite=True, protect=[path])
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz", ".nii", "a.mha"])
def test_endings_that_are_not_ours(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnusableFile, match=r"\.nii, \.nii\.gz or \.nrrd"):
        write_scan(make_scan(), tmp_path / name)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="folder does not exist"):
        write_scan(make_scan(), tmp_path / "none" / "a.nii")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("bug")])
def test_nothing_is_left_when_writing_fails(
    tmp_path: Path, ending: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_medsyn.scans import itk_images

    def fail(path: Path, scan: Any) -> None:
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(nifti, "write_nifti", fail)
    monkeypatch.setattr(itk_images, "write_nrrd", fail)
    path = tmp_path / f"a{ending}"
    expected = UnusableFile if isinstance(error, OSError) else RuntimeError
    with pytest.raises(expected) as caught:
        write_scan(make_scan(), path)
    if expected is UnusableFile:
        assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nii"

    def slow(temporary: Path, scan: Any) -> None:
        temporary.write_bytes(b"ours")
        path.write_bytes(b"theirs")

    monkeypatch.setattr(nifti, "write_nifti", slow)
    with pytest.raises(UnusableFile, match="exists already"):
        write_scan(make_scan(), path)
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]
