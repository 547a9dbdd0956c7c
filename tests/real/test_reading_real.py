"""Every real file of the shared folder is read right, or refused with a clear reason."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from tests.conftest import shared_folder

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.display import from_display, to_display
from napari_medsyn.scans.reading import read_scan, read_scans
from napari_medsyn.scans.study import Scan
from napari_medsyn.scans.writing import write_scan

pytestmark = pytest.mark.real

DATA = shared_folder() / "data"
DICOM = DATA / "dicom"

if not DATA.is_dir():
    pytest.skip(f"no real scans in {DATA}", allow_module_level=True)

ODD, HEADERS = "oddities", "header_oddities/nibabel/nicom/tests/data"
TREE = f"{ODD}/dicomdirtests"

#: Folder or file below `dicom` to what must come of it: shapes and modalities, or words
#: of the reason.
FOLDERS: dict[str, list[tuple[tuple[int, int, int], str]] | str] = {
    "t1_sagittal_series": [((274, 384, 80), "T1")],
    "enhanced_multiframe": "open one of its folders: In",
    "enhanced_multiframe/In/Philips": [((64, 64, 32), ""), ((64, 64, 32), "")],
    "enhanced_multiframe/In/Siemens/XA10": "4-D, 4 volumes",
    HEADERS: [((384, 384, 1), "")],
    ODD: [((128, 128, 1), "CT")],
    TREE: [((16, 16, 5), "CT")],
    f"{TREE}/98892001/CT5N": [((16, 16, 5), "CT")],
    f"{TREE}/98892001/CT2N": "'Scout': a localiser",
    f"{TREE}/98892003/MR1": "a localiser",
    f"{TREE}/98892003/MR2": "a localiser",
    f"{TREE}/98892003/MR700": "several orientations",
    f"{TREE}/77654033/CT2": "161 slices missing",
    f"{TREE}/77654033/CR1": "a projection",
    f"{TREE}/TINY_ALPHA": "without an image",
}
FILES: dict[str, list[tuple[tuple[int, int, int], str]] | str] = {
    "enhanced_multiframe/In/Siemens/XA10/6_1.dcm": [((64, 64, 6), "")],
    f"{HEADERS}/0.dcm": "mosaic",
    f"{HEADERS}/csa_slice_norm.dcm": "mosaic",
    f"{HEADERS}/decimal_rescale.dcm": "same value, -4096",
    f"{HEADERS}/slicethickness_empty_string.dcm": [((384, 384, 1), "")],
    f"{HEADERS}/siemens_dwi_0.dcm.gz": "unpack it with gunzip",
    f"{ODD}/CT_small.dcm": [((128, 128, 1), "CT")],
    f"{ODD}/MR_truncated.dcm": "damaged or cut short",
    f"{ODD}/JPEG2000.dcm": "a projection",
    f"{ODD}/JPEG2000-embedded-sequence-delimiter.dcm": "a projection",
    f"{ODD}/LICENSE": "not a file that can be read",
    f"{TREE}/DICOMDIR-empty.dcm": "names no image file",
    f"{TREE}/DICOMDIR-reordered": [((16, 16, 5), "CT")],
    f"{TREE}/DICOMDIR-bigEnd": [((16, 16, 5), "CT")],
    f"{TREE}/TINY_ALPHA/PT000000/ST000000/SE000000/IM000000": "without an image",
}


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_what_is_known_of_a_file(name: str) -> None:
    expected = {**FOLDERS, **FILES}[name]
    if isinstance(expected, str):
        with pytest.raises(UnusableFile) as caught:
            read_scans(DICOM / name)
        assert expected in str(caught.value)
        return
    assert [(scan.voxels.shape, scan.modality) for scan in read_scans(DICOM / name)] == expected


@pytest.mark.parametrize(
    "path",
    [p for p in sorted(DICOM.rglob("*")) if p.is_file() and p.parent.name != "t1_sagittal_series"],
    ids=lambda path: str(path.relative_to(DICOM)),
)
def test_every_file_is_read_or_refused_in_one_sentence(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        scans = read_scans(path)
    except UnusableFile as error:
        scans, text = [], str(error)
    else:
        text = str(path)
    assert text.startswith(str(DICOM))
    assert "\n" not in text
    for scan in scans:
        assert np.isfinite(scan.voxels).all()
        assert np.linalg.det(scan.affine[:3, :3]) != 0
        assert scan.voxels.dtype.isnative
    assert capfd.readouterr().err == ""


def same_as_itk(scan: Scan, image: SimpleITK.Image) -> None:
    """Voxels equal, and every corner within a micrometre of SimpleITK's own reading."""
    np.testing.assert_array_equal(scan.voxels, SimpleITK.GetArrayFromImage(image).T)
    for index in np.ndindex(2, 2, 2):
        corner = [int(i * (n - 1)) for i, n in zip(index, scan.voxels.shape, strict=True)]
        x, y, z = image.TransformIndexToPhysicalPoint(corner)
        np.testing.assert_allclose((scan.affine @ [*corner, 1])[:3], [-x, -y, z], atol=1e-3)


@pytest.mark.parametrize("name", ["t1_sagittal_series", f"{TREE}/98892001/CT5N"])
def test_a_series_is_that_of_simpleitk(name: str) -> None:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(DICOM / name)))
    same_as_itk(read_scan(DICOM / name), reader.Execute())


@pytest.mark.parametrize("syntax", ["", "_RLE", "_bigendian", "_expb", "_implicit", "_padded",
                                    "_jp2klossless", "_jpeg_ls_lossless"])  # fmt: skip
def test_one_slice_in_eight_transfer_syntaxes(syntax: str) -> None:
    scan = read_scan(DICOM / ODD / f"MR_small{syntax}.dcm")
    plain = SimpleITK.ReadImage(str(DICOM / ODD / "MR_small.dcm"))
    np.testing.assert_array_equal(scan.voxels, SimpleITK.GetArrayFromImage(plain).T)
    np.testing.assert_allclose(scan.affine[:3, 3], [83.9063, 91.2, 6.6406])
    np.testing.assert_allclose(scan.grid.spacing, [0.3125, 0.3125, 0.8])


def test_hounsfield_units() -> None:
    scan = read_scan(DICOM / ODD / "CT_small.dcm")
    image = SimpleITK.ReadImage(str(DICOM / ODD / "CT_small.dcm"))
    np.testing.assert_array_equal(scan.voxels, SimpleITK.GetArrayFromImage(image).T)
    assert scan.voxels.dtype == np.float32


def test_siemens_enhanced() -> None:
    path = DICOM / "enhanced_multiframe/In/Siemens/XA10/6_2.dcm"
    same_as_itk(read_scan(path), SimpleITK.ReadImage(str(path)))


def test_philips_enhanced_rescales_each_volume_by_its_own_slope() -> None:
    path = DICOM / "enhanced_multiframe/In/Philips/IM_0027_fMAP.dcm"
    magnitude, field = read_scans(path)
    assert "field_map" in field.name
    # ITK knows one slope for a file, that of its first frame: right for the first volume.
    image = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    np.testing.assert_allclose(magnitude.voxels, image[:32].T, rtol=1e-6)
    stored = np.rint(image[32:] / 1.27985347985347).T
    np.testing.assert_allclose(field.voxels, stored * 0.24420024420024 - 500, atol=1e-3)
    np.testing.assert_allclose(magnitude.affine, field.affine)


def test_nothing_of_the_patient_is_kept() -> None:
    scan = read_scan(DICOM / "t1_sagittal_series")
    assert (scan.facts["age"], scan.facts["sex"]) == (42, "F")
    assert "Jane" not in repr(scan.facts)
    assert "1966" not in repr(scan.facts)


NIFTI = sorted([*DATA.glob("native/*/*.nii.gz"), *DATA.glob("ms/*/*.nii.gz"),
                *DATA.glob("glioma/*/*.nii.gz")])  # fmt: skip


@pytest.mark.parametrize("path", NIFTI, ids=lambda path: str(path.relative_to(DATA)))
def test_nifti_is_that_of_nibabel(path: Path) -> None:
    scan = read_scan(path)
    image = nibabel.load(path)
    assert scan.affine.tobytes() == (image.affine + 0.0).tobytes()
    assert scan.voxels.dtype == image.get_data_dtype()
    np.testing.assert_array_equal(scan.voxels, image.dataobj)
    wanted = path.name.removesuffix(".nii.gz")
    assert scan.modality == {"lesion": "label", "brain": "label"}.get(wanted, wanted)


@pytest.mark.parametrize(
    "name", ["native/ms_patient12_visit1/T2.nii.gz", "glioma/case00001/T1.nii.gz"]
)
def test_there_and_back_through_display_and_file(name: str, tmp_path: Path) -> None:
    scan = read_scan(DATA / name)
    shown = to_display(scan)
    assert from_display(shown.array, scan).tobytes() == scan.voxels.tobytes()
    again = read_scan(write_scan(scan, tmp_path / "a.nii"))
    assert again.affine.tobytes() == scan.affine.tobytes()
    assert again.voxels.tobytes() == scan.voxels.tobytes()
    for code in ("sform_code", "qform_code"):
        assert again.facts[code] == scan.facts[code]


def test_a_real_series_through_nrrd(tmp_path: Path) -> None:
    scan = read_scan(DICOM / "t1_sagittal_series")
    again = read_scan(write_scan(scan, tmp_path / "a.nrrd"))
    np.testing.assert_allclose(again.affine, scan.affine, atol=1e-10)
    assert again.voxels.tobytes() == scan.voxels.tobytes()
