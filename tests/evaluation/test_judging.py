"""Asking judges, with a judge whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tests import _fakes
from tests._fakes import SHAPE, make_package, make_scan
from tests.evaluation._judges import JUDGES, make_judge

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.evaluation.judging import judge, label_map_on_reference
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.study import Study


@pytest.fixture(autouse=True)
def _fakes_in_place(monkeypatch):
    monkeypatch.setattr("napari_medsyn.models.families.load_judge.__defaults__", (JUDGES,))
    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", _fakes.prepare)


@pytest.fixture
def catalogue(tmp_path):
    make_package(tmp_path / "a-generator", id="a-generator")
    make_judge(tmp_path / "judge-t1")
    make_judge(tmp_path / "judge-t2", inputs=["T2"], outputs=["image"], legends={})
    return Catalogue([(tmp_path, "user")])


def ask(catalogue, *modalities, ids=None):
    study = Study(tuple(make_scan(m) for m in modalities))
    return judge(study, ids, catalogue=catalogue, device="cpu")


def test_every_judge_that_can_read_the_study_reads_it(catalogue):
    assert [j.card.id for j in ask(catalogue, "T1", "FLAIR")] == ["judge-t1"]
    assert [j.card.id for j in ask(catalogue, "T1", "T2")] == ["judge-t1", "judge-t2"]


def test_an_experiment_speaks_only_when_asked_by_name(tmp_path):
    make_judge(tmp_path / "judge-t1")
    make_judge(tmp_path / "judge-new", version="0.3")
    catalogue = Catalogue([(tmp_path, "user")])
    assert [j.card.id for j in ask(catalogue, "T1")] == ["judge-t1"]
    assert [j.card.id for j in ask(catalogue, "T1", ids=["judge-new"])] == ["judge-new"]


def test_readings_come_with_spread_label_and_unit(catalogue):
    (answer,) = ask(catalogue, "T1")
    voxels = make_scan("T1").voxels
    inside = (SHAPE[0] - 4) * (SHAPE[1] - 4) * (SHAPE[2] - 4)  # 1 mm voxels
    assert answer.readings["brain"] == pytest.approx(inside / 1000)
    told = answer.as_dict()
    assert (told["judge"], told["is_synthetic"]) == ("judge-t1", False)
    brain, bright = told["readings"]
    assert brain == {
        "name": "brain",
        "label": "Brain",
        "value": pytest.approx(inside / 1000),
        "spread": 0.25,
        "unit": "ml",
    }
    assert (bright["spread"], bright["unit"]) == (None, "")
    assert bright["value"] == pytest.approx(voxels.max() / 100)


def test_maps_come_back_on_the_grid_of_the_scan(catalogue):
    (answer,) = ask(catalogue, "T1")
    voxels = make_scan("T1").voxels
    expected = np.where(voxels > 0, np.where(voxels > 75, 2, 1), 0)
    halves = answer.maps()["halves"]
    assert halves.dtype == np.uint8
    np.testing.assert_array_equal(halves, expected)
    (other,) = ask(catalogue, "T2")
    np.testing.assert_allclose(other.maps()["image"], make_scan("T2").voxels / 100)


def test_the_first_scan_gives_the_grid_even_if_no_judge_reads_it(catalogue):
    flair = make_scan("FLAIR")
    moved = flair.affine.copy()
    moved[:3, 3] += 7.0
    study = Study((replace(flair, affine=moved), make_scan("T1")))
    (answer,) = judge(study, catalogue=catalogue, device="cpu")
    np.testing.assert_array_equal(answer.prepared.reference.affine, moved)


def test_a_synthetic_scan_makes_a_synthetic_reading_and_only_for_those_who_read_it(catalogue):
    scans = (make_scan("T1"), replace(make_scan("T2"), is_synthetic=True))
    answers = judge(Study(scans), catalogue=catalogue, device="cpu")
    assert [j.is_synthetic for j in answers] == [False, True]


def test_a_study_is_prepared_once_for_judges_of_one_grid(catalogue, monkeypatch):
    asked = []

    def prepare(study, target, options):
        asked.append(study.modalities)
        return _fakes.FakePrepared(study, target)

    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", prepare)
    ask(catalogue, "T1", "T2", "FLAIR")
    assert asked == [("T1", "T2")]  # what no judge reads is not prepared


def test_scans_that_no_judge_reads_are_refused_with_what_would_do(catalogue):
    with pytest.raises(UnusableStudy) as caught:
        ask(catalogue, "FLAIR")
    assert str(caught.value) == (
        "the study has FLAIR, which is not enough: judge-t1 reads T1; judge-t2 reads T2"
    )
    with pytest.raises(UnusableStudy, match="has T1, which is not enough: judge-t2 reads T2"):
        ask(catalogue, "T1", ids=["judge-t1", "judge-t2"])
    with pytest.raises(UnusableStudy, match="no judge is installed"):
        judge(Study((make_scan("T1"),)), catalogue=Catalogue([]), device="cpu")


def test_a_generator_is_no_judge_and_an_unknown_one_is_named(catalogue):
    with pytest.raises(UnusableModel, match="a-generator is a generator, not a judge"):
        ask(catalogue, "T1", ids=["a-generator"])
    with pytest.raises(UnusableModel, match="no model 'x'; known models: judge-t1, judge-t2"):
        ask(catalogue, "T1", ids=["x"])


def test_a_voxel_gets_the_code_with_the_largest_share():
    # Each reference voxel is the mean of two of the model's; shares by hand.
    def to_reference(volume):
        return volume.reshape(3, 2, 1, 1).mean(axis=1)

    prepared = SimpleNamespace(to_reference=to_reference, reference_mask=np.ones((3, 1, 1), bool))
    codes = np.array([5, 5, 0, 0, 2, 2], np.uint8).reshape(6, 1, 1)
    assert label_map_on_reference(prepared, codes).ravel().tolist() == [5, 0, 2]
    prepared.reference_mask = np.array([False, True, True]).reshape(3, 1, 1)
    assert label_map_on_reference(prepared, codes).ravel().tolist() == [0, 0, 2]


def test_a_study_prepared_for_another_grid_is_refused(catalogue, monkeypatch):
    monkeypatch.setattr("napari_medsyn.evaluation.judging.PreparedStudy", _fakes.FakePrepared)
    study = Study((make_scan("T1"),))
    good = _fakes.FakePrepared(study, Grid(SHAPE, study.reference.affine))
    assert judge(good, catalogue=catalogue, device="cpu")[0].readings["brain"] > 0
    other = _fakes.FakePrepared(study, Grid(SHAPE, np.eye(4)))
    with pytest.raises(UnusableStudy, match="prepared for another grid than that of judge-t1"):
        judge(other, catalogue=catalogue, device="cpu")
