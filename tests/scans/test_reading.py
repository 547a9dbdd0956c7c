"""Which reader is asked, what a folder gives, and what is no scan at all."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests._builders import make_scan, make_voxels, write_dicom_series, write_nifti
from tests.scans._refused import refused

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.reading import is_readable, read_scan, read_scans
from napari_medsyn.scans.writing import write_scan


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm"])
def test_an_empty_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.touch()
    refused(path, "the file is empty")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm"])
@pytest.mark.parametrize("content", [b"hello\n" * 100, b"\x00" * 2000, bytes(range(256)) * 8])
def test_noise_in_every_format(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    refused(path)
    path.write_bytes(gzip.compress(content))
    refused(path)


def test_a_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.nii", "no such file")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(b"\x89PNG" + bytes(600))
    refused(path, "not a file that can be read", ".nii")


def test_an_empty_folder(tmp_path: Path) -> None:
    refused(tmp_path, "no DICOM series or other scan")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.nrrd", "NIfTI"), ("a.dcm", "NIfTI"), ("a.txt", "NIfTI")],
)
def test_a_wrong_ending_is_named(tmp_path: Path, name: str, content: str) -> None:
    path = write_nifti(tmp_path / "a.nii").rename(tmp_path / name)
    refused(path, f"its content is {content}", "rename it to end in .nii")


def test_dicom_called_nifti(tmp_path: Path) -> None:
    path = write_dicom_series(tmp_path / "a")[0].rename(tmp_path / "a.nii")
    refused(path, "its content is DICOM", ".dcm")


def test_capital_endings(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii.gz").rename(tmp_path / "T1.NII.GZ")
    scan = read_scan(path)
    assert (scan.name, scan.modality) == ("T1", "T1")


def test_a_folder_of_nifti_files_is_a_study(tmp_path: Path) -> None:
    write_nifti(tmp_path / "p1_T1.nii.gz")
    write_nifti(tmp_path / "p1_FLAIR.nii.gz", make_voxels(seed=1))
    (tmp_path / "broken.nii.gz").write_bytes(b"no")
    scans = read_scans(tmp_path)
    assert [scan.modality for scan in scans] == ["FLAIR", "T1"]
    assert "Left out: broken.nii.gz" in scans[0].facts["notes"][-1]


def test_a_folder_of_broken_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.nii.gz").write_bytes(b"no")
    with pytest.raises(UnusableFile, match=r"broken\.nii\.gz"):
        read_scans(tmp_path)


def test_files_of_several_formats_chosen_together(tmp_path: Path) -> None:
    files = write_dicom_series(tmp_path / "d", SeriesDescription="T2")
    files.append(write_nifti(tmp_path / "T1.nii"))
    files.append(write_scan(make_scan(modality="FLAIR"), tmp_path / "FLAIR.nrrd"))
    assert [scan.modality for scan in read_scans(files)] == ["T2", "T1", "FLAIR"]
    assert read_scans([]) == []


def test_what_is_offered_to_the_reader(tmp_path: Path) -> None:
    file = write_dicom_series(tmp_path / "d")[0]
    bare = file.rename(tmp_path / "d" / "IM7")
    assert is_readable(tmp_path)
    assert is_readable("somewhere/T1.NII.GZ")
    assert is_readable(bare)
    (tmp_path / "a.txt").write_text("x")
    assert not is_readable(tmp_path / "a.txt")
    assert not is_readable(tmp_path / "none")


def test_scans_are_read_only_and_own_their_memory(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii")
    scan = read_scan(path)
    path.write_bytes(bytes(path.stat().st_size))
    np.testing.assert_array_equal(scan.voxels, make_voxels())
    with pytest.raises(ValueError, match="read-only"):
        scan.voxels[0, 0, 0] = 1


def test_importing_the_floor_imports_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "from napari_medsyn.scans import reading, writing, display, provenance, nifti, dicom\n"
        "from napari_medsyn.scans import itk_images, dicom_frames, dicom_pixels\n"
        "print(sorted({'torch', 'SimpleITK', 'nibabel', 'pydicom', 'napari'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
