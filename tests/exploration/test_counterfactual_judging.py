"""A judge reads the scan and every counterfactual: readings known by hand."""

from __future__ import annotations

import pytest
from tests import _people
from tests._fakes import make_scan
from tests._people import BRAIN, make_covariate_judge

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.counterfactual_judging import measure
from napari_medsyn.exploration.counterfactuals import counterfactual
from napari_medsyn.scans.study import Study

#: The fake judge's brightest voxel, normalised intensity.
BRIGHT = float(make_scan("T1").voxels.max()) / 100


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    folder = _people.at_home(tmp_path, monkeypatch)
    make_covariate_judge(folder / "judge")
    return folder


@pytest.fixture
def study():
    return Study((make_scan("T1"),))


def test_scan_and_counterfactual_are_measured_alike(study):
    made = counterfactual("people", study, {"age": 60}, device="cpu")
    measured = measure(made)
    assert measured.scan["brightness"] == pytest.approx(BRIGHT)
    (after,) = measured.made
    assert after["brightness"] == pytest.approx(BRIGHT + 0.16)
    assert after["brain"] == measured.scan["brain"] == pytest.approx(BRAIN.sum() / 1000)
    assert measured.spread == {"brain": 0.25}


def test_every_step_of_a_series_is_measured(study):
    told = []
    made = counterfactual("people", study, sweep={"age": [44, 54, 64]}, device="cpu")
    measured = measure(made, tell=lambda done, total, phase: told.append((done, total, phase)))
    assert [r["brightness"] for r in measured.made] == pytest.approx(
        [BRIGHT, BRIGHT + 0.1, BRIGHT + 0.2]
    )
    assert told == [(step, 4, "Measuring") for step in range(4)]


def test_what_is_measured_goes_into_the_record(study):
    made = counterfactual("people", study, {"age": 60}, device="cpu")
    assert made.measurements is None
    measured = made.measured()
    assert measured.measurements is not None
    told = measured.provenance["counterfactual"]["measured"]
    assert told["judge"] == "judge-covariates-t1"
    assert told["counterfactual"][0]["brightness"] == pytest.approx(BRIGHT + 0.16)
    assert "measured" not in made.provenance["counterfactual"]


def test_the_mask_of_the_study_goes_with_every_scan(study, monkeypatch):
    asked = []

    def prepare(study, *rest, **hooks):
        asked.append([scan.modality for scan in study])
        return _people.prepare(Study(study.scans[:1]), *rest, **hooks)

    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", prepare)
    with_mask = study.with_scan(make_scan("label", name="brain mask"))
    measure(counterfactual("people", with_mask, {"age": 60}, device="cpu"))
    assert asked[-2:] == [["T1", "label"], ["T1", "label"]]


def test_a_judge_that_is_not_there_is_named(study):
    made = counterfactual("people", study, {"age": 60}, device="cpu")
    with pytest.raises(UnusableModel, match="there is no model 'nobody'"):
        measure(made, "nobody")


def test_what_shows_no_skull_is_not_stripped_after_an_edit(study, monkeypatch):
    asked = []

    def prepare(study, grid, *rest, **hooks):
        asked.append((study, rest, hooks))
        return _people.prepare(study, grid, *rest, **hooks)

    made = counterfactual("people", study, {"age": 60}, device="cpu")
    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", prepare)
    for skull, wanted in ((False, "never"), (True, "auto")):
        asked.clear()
        monkeypatch.setattr(
            "napari_medsyn.scans.preparation.brain_mask.has_skull", lambda *_, skull=skull: skull
        )
        measure(made)
        assert len(asked) == 2
        assert all(f"brain_mask='{wanted}'" in repr(call) for call in asked)
