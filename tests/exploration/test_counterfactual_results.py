"""What came of a counterfactual: scans, files, series, of a model whose answers are known."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import PIL.Image
import pytest
from tests import _people
from tests._fakes import make_scan
from tests._people import BRAIN, PSNR_DB, brighter

from napari_medsyn.errors import UnusableFile, UnusableModel, UnusableStudy
from napari_medsyn.exploration.counterfactuals import counterfactual
from napari_medsyn.scans.study import Study


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    return _people.at_home(tmp_path, monkeypatch)


@pytest.fixture
def study():
    return Study((make_scan("T1"),))


def make(study, **fields):
    return counterfactual("people", study, fields.pop("set", {}), device="cpu", **fields)


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


# ---- series ----------------------------------------------------------------------------


def test_a_sweep_is_saved_as_4d_files_or_step_by_step(study, tmp_path):
    made = make(study, sweep={"age": [44, 54.5]})
    files = made.save(tmp_path / "four")
    assert files[0].name == "counterfactual_T1.nii.gz"
    image = nibabel.load(files[0])
    assert image.shape == (*BRAIN.shape, 2)
    np.testing.assert_allclose(image.get_fdata()[..., 1], brighter(10.5), rtol=1e-6)
    record = json.loads(files[-1].read_text())
    assert record["sweep"]["values"] == [44.0, 54.5]
    assert record["counterfactual"]["own"]["age"] == 44.0
    files = made.save(tmp_path / "single", separate=True)
    assert [file.name for file in files] == [
        "counterfactual_T1_1_age-44.nii.gz",
        "counterfactual_T1_2_age-54.5.nii.gz",
        "difference_T1_1_age-44.nii.gz",
        "difference_T1_2_age-54.5.nii.gz",
        "jacobian_T1_1_age-44.nii.gz",
        "jacobian_T1_2_age-54.5.nii.gz",
        "provenance.json",
    ]
    np.testing.assert_allclose(nibabel.load(files[1]).get_fdata(), brighter(10.5), rtol=1e-6)


def test_the_steps_of_a_sweep_as_scans(study):
    made = make(study, sweep={"sex": ["F", "M"]}, set={"age": 54})
    np.testing.assert_allclose(made.scan(step=1).voxels, brighter(10), rtol=1e-6)
    with pytest.raises(UnusableModel, match="step 2 is outside 0 to 1"):
        made.scan(step=2)
    with pytest.raises(UnusableModel, match="a step is given of a sweep"):
        made.scan()


def test_only_a_sweep_can_be_animated(study, tmp_path):
    with pytest.raises(UnusableStudy, match="only a sweep can be animated"):
        make(study).animate(tmp_path / "a.gif")


def test_an_animation_shows_the_plane_that_changes_most(study, tmp_path):
    made = make(study, sweep={"age": [44, 54, 64]})
    # The model changes all of the brain alike, which fills planes 2 to 11.
    assert made.liveliest_plane(2) in range(2, 12)
    path = made.animate(tmp_path / "a.gif")
    with PIL.Image.open(path) as animation:
        assert animation.n_frames == 3
        assert b"SYNTHETIC" in animation.info["comment"]
    with pytest.raises(UnusableFile, match="exists"):
        made.animate(path)
    assert made.animate(path, "difference_T1", axis=0, index=3, overwrite=True) == path
