"""Counterfactuals in a notebook, of a model whose answers are known."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from tests import _people
from tests._fakes import ORIGIN, make_package, make_scan
from tests._people import BRIGHTEST, GROWTH, PER_YEAR, PSNR_DB, WARNING

import napari_medsyn
from napari_medsyn.errors import EngineError, UnusableFile, UnusableModel, UnusableStudy
from napari_medsyn.exploration.counterfactuals import counterfactual
from napari_medsyn.scans.study import Study

BRAIN = make_scan("T1").voxels > 0


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    return _people.at_home(tmp_path, monkeypatch)


@pytest.fixture
def study():
    return Study((make_scan("T1"),))


def make(study, **fields):
    return counterfactual("people", study, fields.pop("set", {}), device="cpu", **fields)


def brighter(years: float) -> np.ndarray:
    """The scan as the model shows it `years` later, in the scanner's units."""
    return make_scan("T1").voxels + BRAIN * np.float32(years * PER_YEAR * BRIGHTEST)


def test_the_public_name_is_this_function():
    assert napari_medsyn.counterfactual is counterfactual


def test_a_change_is_made_to_the_scan_in_its_units(study):
    made = make(study, set={"age": 60})
    # The inversion finds 44 years: 16 years are asked for.
    np.testing.assert_allclose(made.arrays["counterfactual_T1"], brighter(16), rtol=1e-6)
    difference = made.arrays["difference_T1"]
    np.testing.assert_allclose(difference, brighter(16) - brighter(0), atol=1e-4)
    np.testing.assert_allclose(made.arrays["jacobian_T1"], BRAIN * 16 * GROWTH, atol=1e-6)
    assert (difference[~BRAIN] == 0).all()


def test_at_the_own_values_the_scan_comes_back_bit_for_bit(study):
    made = make(study)
    np.testing.assert_array_equal(made.arrays["counterfactual_T1"], make_scan("T1").voxels)
    assert not made.arrays["difference_T1"].any()
    assert not made.arrays["jacobian_T1"].any()


def test_what_is_stated_is_where_the_change_is_from(study):
    made = make(study, set={"age": 60}, from_={"age": 40})
    np.testing.assert_allclose(made.arrays["counterfactual_T1"], brighter(20), rtol=1e-6)
    assert made.findings.own == {"age": 40.0, "sex": "F"}
    assert made.findings.origins == {"age": "stated", "sex": "estimated"}


def test_the_file_s_word_counts_unless_it_is_said_to_be_unknown():
    study = Study((make_scan("T1", facts={"age": 50.0, "sex": "M"}),))
    made = make(study)
    assert made.findings.own == {"age": 50.0, "sex": "M"}
    assert made.findings.origins == {"age": "from the file", "sex": "from the file"}
    made = make(study, from_={"age": None, "sex": "F"})
    assert made.findings.own == {"age": 44.0, "sex": "F"}
    assert made.findings.origins == {"age": "estimated", "sex": "stated"}


def test_the_inversion_s_quality_and_warning_are_told(study):
    assert make(study).findings.psnr_db == PSNR_DB
    assert make(study).findings.warning == ""
    assert make(study, from_={"age": 25}).findings.warning == WARNING


def test_only_what_is_set_differs_from_the_patient(study):
    made = make(study, set={"age": 60}, from_={"sex": "M"})
    assert made.asked == {"age": 60.0, "sex": "M"}


def test_files_and_scans_may_be_given_by_modality(tmp_path):
    affine = np.eye(4)
    affine[:3, 3] = ORIGIN
    path = tmp_path / "t1.nii.gz"
    nibabel.Nifti1Image(make_scan("T1").voxels, affine).to_filename(path)
    for given in (path, str(path), make_scan("", name="x")):
        voxels = make_scan("T1").voxels if not isinstance(given, (str, type(path))) else None
        given = given if voxels is None else replace(given, voxels=voxels)
        made = make({"T1": given}, set={"age": 60})
        np.testing.assert_allclose(made.arrays["counterfactual_T1"], brighter(16), rtol=1e-6)


def test_progress_is_told(study):
    told = []
    make(study, set={"age": 60}, tell=lambda done, total, phase: told.append((done, total, phase)))
    phases = [phase for _, _, phase in told]
    assert "Inverting 1 of 2" in phases
    assert phases.index("Inverting 1 of 2") < phases.index("Inverting 2 of 2")
    assert all(done <= total for done, total, _ in told if total)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"set": {"height": 3}}, UnusableModel, "has no control 'height'"),
        ({"set": {"age": 7}}, UnusableModel, "age 7.0 is outside 18 to 90"),
        ({"from_": {"mixing": 3}}, UnusableModel, "has no covariate 'mixing'; it has age, sex"),
        ({"set": {"mirror": True}}, EngineError, "a bug in the model"),
        ({"sweep": {"age": [1], "sex": ["F"]}}, UnusableModel, "a sweep is of one control"),
        ({"sweep": {"age": [30]}, "set": {"age": 3}}, UnusableModel, "cannot be set and swept"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(study, fields, error, message):
    with pytest.raises(error, match=message):
        make(study, **fields)


def test_other_models_and_studies_are_refused(models, study):
    make_package(models / "fake")
    with pytest.raises(UnusableModel, match="fake-brain makes no counterfactuals"):
        counterfactual("fake-brain", study)
    with pytest.raises(UnusableStudy, match="there is no scan"):
        counterfactual("people", {})
    with pytest.raises(UnusableFile, match="nowhere"):
        counterfactual("people", {"T1": "nowhere.nii"})
    with pytest.raises(UnusableStudy):
        counterfactual("people", Study((make_scan("T2"),)), {"age": 60})


# ---- files -----------------------------------------------------------------------------


def test_files_carry_the_mark_the_grid_and_the_record(study, tmp_path):
    files = make(study, set={"age": 60}, from_={"age": 40}).save(tmp_path / "out")
    assert [file.name for file in files] == [
        "counterfactual_T1.nii.gz",
        "difference_T1.nii.gz",
        "jacobian_T1.nii.gz",
        "provenance.json",
    ]
    image = nibabel.load(files[0])
    np.testing.assert_array_equal(image.affine, make_scan("T1").affine)
    np.testing.assert_allclose(image.get_fdata(), brighter(20), rtol=1e-6)
    assert b"SYNTHETIC" in image.header["descrip"].tobytes()
    record = json.loads(files[-1].read_text())
    assert record["SYNTHETIC"] is True
    told = record["counterfactual"]
    assert told["own"] == {"age": 40.0, "sex": "F"}
    assert told["origins"] == {"age": "stated", "sex": "estimated"}
    assert told["asked"] == {"age": 60.0, "sex": "F"}
    assert told["psnr_db"] == PSNR_DB


def test_saving_replaces_nothing_unless_that_is_said(study, tmp_path):
    made = make(study, set={"age": 60})
    made.save(tmp_path)
    with pytest.raises(UnusableFile, match="exists already"):
        made.save(tmp_path)
    made.save(tmp_path, existing="replace")


def test_a_source_is_never_replaced(tmp_path):
    source = tmp_path / "difference_T1.nii.gz"
    source.write_bytes(b"the patient's")
    made = make(Study((make_scan("T1", source=source),)), set={"age": 60})
    with pytest.raises(UnusableFile, match="is a source"):
        made.save(tmp_path, existing="replace")
    assert source.read_bytes() == b"the patient's"


def test_an_output_as_a_scan(study):
    made = make(study, set={"age": 60})
    scan = made.scan()
    assert (scan.modality, scan.is_synthetic) == ("T1", True)
    np.testing.assert_allclose(scan.voxels, brighter(16), rtol=1e-6)
    assert made.scan("difference_T1").modality == ""
    with pytest.raises(UnusableModel, match="there is no output 'T1'; there is counterfactual_T1"):
        made.scan("T1")
    with pytest.raises(UnusableModel, match="a step is given of a sweep"):
        made.scan(step=0)
