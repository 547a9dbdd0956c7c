"""`medsyn generate` with a model of people: covariates are set as in `counterfactual`."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from napari_medsyn import cli

pytestmark = pytest.mark.usefixtures("models")


@pytest.fixture
def run(tmp_path):
    """Run `medsyn generate` of people of nobody; gives the exit status."""

    def go(*arguments):
        where = ["--model", "people", "--out", str(tmp_path / "out"), "--device", "cpu"]
        return cli.run(["generate", *where, *map(str, arguments)])

    return go


def test_several_covariates_may_be_set_at_once(run, tmp_path):
    assert run("--set", "age=70,sex=M") == 0
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert (record["controls"]["age"], record["controls"]["sex"]) == (70.0, "M")
    voxels = nibabel.load(tmp_path / "out" / "sample_0001.nii.gz").get_fdata()
    np.testing.assert_allclose(voxels, 0.7, atol=1e-6)


def test_unknown_reaches_the_model_and_the_record(run, tmp_path):
    assert run("--set", "age=unknown") == 0
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert record["controls"]["age"] is None
    assert "--set age=unknown" in record["again"]
    assert nibabel.load(tmp_path / "out" / "sample_0001.nii.gz").get_fdata().max() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "age=own"], "there is no patient here whose own value it would be"),
        (["--input", "T1=a.nii"], "of a patient, medsyn counterfactual makes them"),
    ],
)
def test_what_needs_a_patient_is_refused_with_the_remedy(run, tmp_path, capsys, arguments, message):
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert not (tmp_path / "out").exists()
