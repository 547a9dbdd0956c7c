"""Counterfactuals in a notebook, of a model whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import nibabel
import numpy as np
import pytest
from tests import _people
from tests._fakes import ORIGIN, make_package, make_scan
from tests._people import BRAIN, GROWTH, PSNR_DB, WARNING, brighter

import napari_medsyn
from napari_medsyn.errors import EngineError, UnusableFile, UnusableModel, UnusableStudy
from napari_medsyn.exploration.counterfactuals import counterfactual, study_of
from napari_medsyn.scans.preparation.sources import is_brain_mask
from napari_medsyn.scans.study import Study


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    return _people.at_home(tmp_path, monkeypatch)


@pytest.fixture
def study():
    return Study((make_scan("T1"),))


def make(study, **fields):
    return counterfactual("people", study, fields.pop("set", {}), device="cpu", **fields)


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


def test_a_mask_may_be_given_as_a_file_of_any_name(tmp_path):
    path = tmp_path / "m.nii.gz"
    nibabel.Nifti1Image(np.eye(4, dtype=np.uint8)[None], np.eye(4)).to_filename(path)
    study = study_of({"T1": make_scan("T1"), "label": path})
    assert [(scan.modality, is_brain_mask(scan)) for scan in study] == [
        ("T1", False),
        ("label", True),
    ]


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


# ---- sweeps ----------------------------------------------------------------------------


def test_a_sweep_has_its_steps_in_front(study):
    made = make(study, sweep={"age": [44, 54, 64]}, set={"sex": "M"})
    assert made.steps == (44.0, 54.0, 64.0)
    series = made.arrays["counterfactual_T1"]
    assert series.shape == (3, *BRAIN.shape)
    for step, years in zip(series, (0, 10, 20), strict=True):
        np.testing.assert_allclose(step, brighter(years), rtol=1e-6)
    np.testing.assert_allclose(made.arrays["jacobian_T1"][2], BRAIN * 20 * GROWTH, atol=1e-6)
    assert made.asked == {"sex": "M"}
    assert made.provenance["counterfactual"]["asked"] == {"sex": "M"}
