"""DICOM series, good and bad; the builders write them with pydicom, SimpleITK reads them too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from tests._builders import (
    make_affine,
    make_scan,
    write_dicom_series,
    write_enhanced_dicom,
)
from tests.scans._refused import edit, refused

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans import dicom_pixels
from napari_medsyn.scans.reading import read_scan, read_scans

AFFINES = {
    # DICOM slices are stacked along the normal of their rows and columns, so these are
    # right-handed in LPS, as scanners store them.
    "axial": make_affine("LPS"),
    "sagittal": make_affine("PIR"),
    "coronal": make_affine("LIP"),
    "tilted": make_affine("LPS", tilt_degrees=12),
}


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES.keys())
def test_a_series_comes_back_as_it_was(tmp_path: Path, affine) -> None:
    source = make_scan(affine=affine)
    write_dicom_series(tmp_path, source, SeriesDescription="ax T2 TSE")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, source.voxels)
    assert scan.voxels.dtype == np.int16
    np.testing.assert_allclose(scan.affine, affine, rtol=0, atol=1e-8)
    assert (scan.name, scan.modality, scan.source) == ("ax T2 TSE", "T2", tmp_path)
    assert scan.facts["notes"] == ()


def test_geometry_is_that_of_simpleitk(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, make_scan(affine=make_affine("PIR", tilt_degrees=12)))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    expected = reader.Execute()
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, SimpleITK.GetArrayFromImage(expected).T)
    for index in ((0, 0, 0), (7, 0, 0), (0, 8, 9), (7, 8, 9)):
        x, y, z = expected.TransformIndexToPhysicalPoint(index)
        world = scan.affine @ [*index, 1]
        np.testing.assert_allclose(world[:3], [-x, -y, z], atol=1e-6)


def test_rescaled_slices_each_by_its_own_slope(tmp_path: Path) -> None:
    source = make_scan(affine=make_affine("LPS"))
    slopes = [0.5 + 0.25 * k for k in range(10)]
    write_dicom_series(tmp_path, source, Modality="PT", RescaleIntercept="3",
                       per_slice={"RescaleSlope": [str(s) for s in slopes]})  # fmt: skip
    scan = read_scan(tmp_path)
    assert scan.voxels.dtype == np.float32
    np.testing.assert_array_equal(
        scan.voxels, (source.voxels * np.array(slopes) + 3).astype(np.float32)
    )
    assert scan.modality == "PET"


def test_hounsfield_units(tmp_path: Path) -> None:
    source = make_scan(affine=make_affine("LPS"))
    write_dicom_series(
        tmp_path, source, Modality="CT", RescaleSlope="1", RescaleIntercept="-1024",
        WindowCenter="40", WindowWidth="80",
    )  # fmt: skip
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, source.voxels.astype(np.float32) - 1024)
    assert scan.modality == "CT"
    assert scan.facts["window"] == (40, 80)


def test_what_is_kept_of_the_patient_is_age_and_sex(tmp_path: Path) -> None:
    write_dicom_series(
        tmp_path, PatientAge="018M", PatientSex="F", SeriesDescription="T1 of JANE",
        ProtocolName="Doe_SECRET-7", SeriesNumber=4,
    )  # fmt: skip
    scan = read_scan(tmp_path)
    assert scan.facts["age"] == pytest.approx(1.5)
    assert scan.facts["sex"] == "F"
    assert (scan.name, scan.modality) == ("T1 of", "T1")
    everything = repr((scan.name, scan.facts)).lower()
    for secret in ("doe", "jane", "secret-7", "1970"):
        assert secret not in everything


def test_age_from_the_dates_alone(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, StudyDate="20100701")
    scan = read_scan(tmp_path)
    assert scan.facts["age"] == pytest.approx(40.5, abs=0.01)
    assert "19700101" not in repr(scan.facts)


@pytest.mark.parametrize(
    ("tags", "modality"),
    [
        ({"SeriesDescription": "t1_mprage", "ContrastBolusAgent": "Gadovist"}, "T1c"),
        ({"SeriesDescription": "t1_mprage", "ContrastBolusAgent": ""}, "T1"),
        ({"ProtocolName": "AX FLAIR"}, "FLAIR"),
        ({"EchoTime": "100", "RepetitionTime": "9000", "InversionTime": "2500"}, "FLAIR"),
        ({"EchoTime": "90", "RepetitionTime": "4000"}, "T2"),
    ],
)
def test_modality_from_tags(tmp_path: Path, tags: dict[str, str], modality: str) -> None:
    write_dicom_series(tmp_path, **tags)
    assert read_scan(tmp_path).modality == modality


def test_synthetic_data_flag(tmp_path: Path) -> None:
    files = write_dicom_series(tmp_path)
    for file in files:
        edit(file, lambda d: d.add_new(0x0008001C, "CS", "YES"))
    assert read_scan(tmp_path).is_synthetic


# ---------------------------------------------------------------- several in one folder


def test_two_series_in_one_folder(tmp_path: Path) -> None:
    one, two = make_scan(affine=make_affine("LPS")), make_scan((5, 6, 7), make_affine("LIP"))
    write_dicom_series(tmp_path, two, prefix="B", SeriesDescription="FLAIR", SeriesNumber=2)
    write_dicom_series(tmp_path, one, prefix="A", SeriesDescription="T1", SeriesNumber=1)
    first, second = read_scans(tmp_path)
    assert (first.modality, second.modality) == ("T1", "FLAIR")
    np.testing.assert_array_equal(first.voxels, one.voxels)
    np.testing.assert_array_equal(second.voxels, two.voxels)
    with pytest.raises(UnusableFile, match="holds 2 scans, 'T1', 'FLAIR'"):
        read_scan(tmp_path)


def test_a_localiser_beside_a_series_is_left_out_with_a_note(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, prefix="A", SeriesDescription="T1")
    write_dicom_series(tmp_path, prefix="B", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
                       SeriesDescription="3 plane")  # fmt: skip
    scan = read_scan(tmp_path)
    assert scan.modality == "T1"
    assert "Left out" in scan.facts["notes"][-1]
    assert "'3 plane': a localiser" in scan.facts["notes"][-1]


def test_two_echoes_in_one_series_are_two_scans(tmp_path: Path) -> None:
    pd, t2 = make_scan(affine=make_affine("LPS")), make_scan(affine=make_affine("LPS"), seed=1)
    same = {"SeriesInstanceUID": pydicom.uid.generate_uid(), "SeriesDescription": "dual echo",
            "RepetitionTime": "3000"}  # fmt: skip
    write_dicom_series(tmp_path, t2, prefix="A", EchoTime="90", **same)
    write_dicom_series(tmp_path, pd, prefix="B", EchoTime="15", **same)
    scans = {scan.modality: scan for scan in read_scans(tmp_path)}
    np.testing.assert_array_equal(scans["PD"].voxels, pd.voxels)
    np.testing.assert_array_equal(scans["T2"].voxels, t2.voxels)
    assert scans["T2"].name == "dual echo (echo 90 ms)"


def test_a_stray_image_of_another_kind_does_not_spoil_its_series(tmp_path: Path) -> None:
    source = make_scan(affine=make_affine("LPS"))
    uid = pydicom.uid.generate_uid()
    write_dicom_series(tmp_path, source, SeriesInstanceUID=uid, EchoTime="90")
    stray = make_scan((8, 9, 5), make_affine("LPS"), seed=1)
    write_dicom_series(
        tmp_path, stray, prefix="B", skip=[0, 2], SeriesInstanceUID=uid, EchoTime="15"
    )
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, source.voxels)
    assert "(echo 15 ms)': about 1 slice missing" in scan.facts["notes"][-1]


def test_folders_below_are_not_searched_but_named(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "T1")
    refused(tmp_path, "no DICOM series", "T1")


def test_other_files_beside_a_series_do_not_matter(tmp_path: Path) -> None:
    source = make_scan(affine=make_affine("LPS"))
    write_dicom_series(tmp_path, source)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / ".DS_Store").write_bytes(b"x" * 300)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, source.voxels)


def test_dicomdir(tmp_path: Path) -> None:
    from pydicom.fileset import FileSet

    source = make_scan(affine=make_affine("LPS"))
    parts = {"StudyInstanceUID": pydicom.uid.generate_uid(), "StudyDate": "20200101",
             "StudyTime": "101010", "StudyID": "1", "SeriesNumber": 1}  # fmt: skip
    fileset = FileSet()
    for file in write_dicom_series(tmp_path / "loose", source, **parts):
        fileset.add(file)
    fileset.write(tmp_path / "disc")
    for chosen in (tmp_path / "disc", tmp_path / "disc" / "DICOMDIR"):
        np.testing.assert_array_equal(read_scan(chosen).voxels, source.voxels)


def test_files_chosen_together_become_one_scan(tmp_path: Path) -> None:
    source = make_scan(affine=make_affine("LPS"))
    files = write_dicom_series(tmp_path, source)
    (scan,) = read_scans(files)
    np.testing.assert_array_equal(scan.voxels, source.voxels)


# ---------------------------------------------------------------- single files


def test_one_slice(tmp_path: Path) -> None:
    source = make_scan(affine=make_affine("LPS"))
    last = write_dicom_series(tmp_path, source, SliceThickness="4")[-1]
    scan = read_scan(last)
    np.testing.assert_array_equal(scan.voxels, source.voxels[:, :, -1:])
    np.testing.assert_allclose(scan.affine[:3, 3], (source.affine @ [0, 0, 9, 1])[:3])
    np.testing.assert_allclose(scan.affine[:3, 2], [0, 0, 4])
    assert "only one slice" in scan.facts["notes"]


def test_enhanced_multi_frame(tmp_path: Path) -> None:
    source = make_scan(affine=make_affine("PIR", tilt_degrees=12))
    scan = read_scan(write_enhanced_dicom(tmp_path / "a.dcm", source))
    np.testing.assert_array_equal(scan.voxels, source.voxels)
    np.testing.assert_allclose(scan.affine, source.affine, atol=1e-8)


def test_enhanced_multi_frame_with_time_points(tmp_path: Path) -> None:
    refused(write_enhanced_dicom(tmp_path / "a.dcm", volumes=3), "4-D, 3 volumes")


def test_frames_without_positions(tmp_path: Path) -> None:
    path = write_enhanced_dicom(tmp_path / "a.dcm")
    edit(path, lambda d: delattr(d, "PerFrameFunctionalGroupsSequence"))
    refused(path, "several frames without a position")


def test_a_file_without_ending(tmp_path: Path) -> None:
    file = write_dicom_series(tmp_path / "a")[0].rename(tmp_path / "IM0001")
    assert read_scan(file).voxels.shape == (8, 9, 1)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2"],
                         ids=["implicit", "big-endian"])  # fmt: skip
def test_other_uncompressed_syntaxes(tmp_path: Path, uid: str) -> None:
    source = make_scan(affine=make_affine("LPS"))
    for file in write_dicom_series(tmp_path, source):
        dataset = pydicom.dcmread(file)
        if uid.endswith(".2.2"):
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(uid)
        implicit = uid == "1.2.840.10008.1.2"
        pydicom.dcmwrite(file, dataset, implicit_vr=implicit, little_endian=implicit)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, source.voxels)
    assert scan.voxels.dtype.isnative


def test_run_length_encoded(tmp_path: Path) -> None:
    source = make_scan(affine=make_affine("LPS"))
    for file in write_dicom_series(tmp_path, source):
        edit(file, lambda d: d.compress(pydicom.uid.RLELossless))
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, source.voxels)


def test_a_syntax_without_decoder_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_dicom_series(tmp_path)[0]

    def claim(dataset: pydicom.Dataset) -> None:
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8 no such stream \xff\xd9"])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless

    edit(path, claim)
    refused(path, "JPEG-LS Lossless", "no decoder")
    assert capfd.readouterr().err == ""


def test_what_pydicom_cannot_decode_is_decoded_by_gdcm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_scan(affine=make_affine("LPS"))
    write_dicom_series(tmp_path, source, RescaleSlope="0.5", RescaleIntercept="-9")
    monkeypatch.setattr(dicom_pixels, "_lacks_decoder", lambda _: True)
    expected = (source.voxels * 0.5 - 9).astype(np.float32)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, expected)
