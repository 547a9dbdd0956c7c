"""The shipped judges on real scans of people that no judge has seen."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medsyn.evaluation.judging import judge
from napari_medsyn.scans.reading import read_scan
from napari_medsyn.scans.study import Study

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def judgements(shared):
    """Both judges of T1 on patient 07 (53 years, female): other scanner, other country."""
    path = shared / "data" / "ms" / "patient07" / "T1.nii.gz"
    if not path.is_file():
        pytest.skip(f"no scan at {path}")
    scan = read_scan(path).with_modality("T1")
    ids = ["judge-tissue-t1", "judge-covariates-t1"]
    return {j.card.id: j for j in judge(Study((scan,)), ids, device="cpu")}


def test_tissues_of_a_real_brain_have_volumes_of_an_adults(judgements):
    readings = judgements["judge-tissue-t1"].readings
    # Loose bounds around the 157 healthy people on the same grid: a wrong grid, flip or
    # scale falls out of them by far.
    assert 300 < readings["white_matter"] < 800
    assert 300 < readings["cortex"] < 900
    assert 5 < readings["ventricles"] < 120


def test_tissues_lie_where_they_do_in_every_head(judgements):
    answer = judgements["judge-tissue-t1"]
    codes = answer.maps()["tissues"]
    reference = answer.prepared.reference
    assert codes.shape == reference.shape

    def centre(code):
        index = np.append(np.argwhere(codes == code).mean(axis=0), 1)
        return reference.affine @ index

    # MNI world, mm: ventricles in the middle, cerebellum behind and below, stem below.
    assert abs(centre(7)[0]) < 6
    assert centre(5)[1] < centre(1)[1] - 20
    assert centre(5)[2] < centre(1)[2] - 30
    assert centre(6)[2] < centre(7)[2] - 15


def test_both_judges_agree_on_the_ventricles_and_say_that_the_scan_is_real(judgements):
    tissue, covariates = (judgements[i] for i in ("judge-tissue-t1", "judge-covariates-t1"))
    ours, theirs = tissue.readings["ventricles"], covariates.readings["ventricles"]
    assert ours == pytest.approx(theirs, rel=0.3)
    assert not tissue.is_synthetic
    assert covariates.spread["age"] > 0
    assert 0 <= covariates.readings["male"] <= 1
    # Within three standard deviations of the error among the healthy.
    assert covariates.readings["age"] == pytest.approx(53, abs=3 * covariates.spread["age"])
