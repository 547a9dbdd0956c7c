"""The benchmark's own arithmetic: what a figure means is decided here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.imputation import FIGURES, averages, card_metrics, read_runs, score
from benchmarks.visits import LinearBaseline, Visit, another_scale, cases, load_visits

from napari_medsyn.registry.card import Metric
from napari_medsyn.scans.study import Scan
from napari_medsyn.scans.writing import write_scan

SHAPE = (50, 60, 3)


def write_visit(folder: Path, scans: dict[str, np.ndarray]) -> Visit:
    """A visit whose files hold these arrays; the brain is where `brain` is set."""
    folder.mkdir(parents=True)
    for name, voxels in scans.items():
        write_scan(Scan(voxels, np.eye(4), name), folder / f"{name}.nii.gz")
    return Visit(folder.name.split("_")[0], folder.name, "ms", folder)


@pytest.fixture
def brain():
    mask = np.zeros(SHAPE, np.uint8)
    mask[3:47, 3:57] = 1
    return mask


def test_cases_are_each_from_the_others_and_all_from_t1(tmp_path, brain):
    visit = write_visit(tmp_path / "a", {"T1": brain, "T2": brain, "FLAIR": brain, "brain": brain})
    assert [(c.kind, c.present, c.targets) for c in cases(visit)] == [
        ("others", ("T2", "FLAIR"), ("T1",)),
        ("others", ("T1", "FLAIR"), ("T2",)),
        ("others", ("T1", "T2"), ("FLAIR",)),
        ("T1", ("T1",), ("T2", "FLAIR")),
    ]
    without = write_visit(tmp_path / "b", {"T2": brain, "FLAIR": brain, "brain": brain})
    assert [c.kind for c in cases(without)] == ["others", "others"]
    assert visit.study(("T2",)).modalities == ("T2",)


def test_truth_is_scaled_by_the_brain_and_clipped(tmp_path, brain, rng):
    voxels = (brain * rng.integers(1, 1000, SHAPE)).astype(np.int16)
    voxels[10, 10, 1] = 30_000  # a vessel
    voxels[0, 0, 0] = 20_000  # outside the brain
    truth = write_visit(tmp_path / "a", {"T1": voxels, "brain": brain}).truth("T1")
    inside = brain > 0
    scale = np.percentile(voxels[inside], 99.5)
    np.testing.assert_allclose(truth[20:30], (voxels / scale)[20:30], rtol=1e-5)
    assert truth[10, 10, 1] == 1.5
    assert not truth[~inside].any()


def test_scores_of_a_known_error(brain, rng):
    inside = brain > 0
    truth = np.where(inside, rng.uniform(0.3, 1, SHAPE), 0).astype(np.float32)
    std = np.where(inside, rng.uniform(0.02, 0.2, SHAPE), 0).astype(np.float32)
    imputed = truth + std * rng.normal(0, 1, SHAPE).astype(np.float32)
    figures = score(truth, imputed, 2 * std, inside)
    assert figures["std scale"] == pytest.approx(0.5, abs=0.03)
    assert figures["cover90"] > 0.99
    assert figures["spearman"] > 0.4
    assert figures["slices"] == 3
    assert score(truth, truth / np.float32(0.8), std, inside)["gain"] == pytest.approx(0.8)


def test_people_count_once_and_targets_the_same():
    def row(person, target, psnr):
        blank = dict.fromkeys(FIGURES, 0.5)
        return {**blank, "person": person, "cohort": "test", "given": "others", "target": target,
                "psnr": psnr, "linear psnr": None}  # fmt: skip

    rows = [row("a", "T1", 20), row("a", "T1", 22), row("b", "T1", 25), row("a", "T2", 30)]
    found = {r["target"]: r for r in averages(rows)}
    assert found["T1"]["psnr"] == 23  # (21 + 25) / 2
    assert (found["T1"]["n"], found["T2"]["n"], found["all"]["n"]) == (2, 1, 2)
    assert found["all"]["psnr"] == 26.5
    assert found["all"]["linear psnr"] is None
    metrics = card_metrics(list(found.values()))
    assert all(Metric(**metric) for metric in json.loads(json.dumps(metrics)))
    assert len({(m["name"], m["data_set"], m["note"]) for m in metrics}) == len(metrics)


def test_the_baseline_is_fitted_on_those_who_are_not_held_out(tmp_path, brain, rng):
    def visit(name, slope):
        t1 = (brain * rng.integers(100, 1000, SHAPE)).astype(np.int32)
        t2 = np.where(brain > 0, 50 + slope * t1, 0).astype(np.int32)
        return write_visit(tmp_path / name, {"T1": t1, "T2": t2, "brain": brain})

    visits = [visit("a_visit1", 1), visit("b", 3)]
    baseline = LinearBaseline(visits, every=1)
    weights = baseline.fit(frozenset({"b"}), ("T1",), "T2")
    assert weights is not None
    predicted = baseline.predict(visits[0], weights, ("T1",))
    np.testing.assert_allclose(predicted, visits[0].truth("T2"), atol=2e-3)
    assert (
        np.abs(baseline.predict(visits[1], weights, ("T1",)) - visits[1].truth("T2")).max() > 0.01
    )
    assert baseline.fit(frozenset({"a", "b"}), ("T1",), "T2") is None
    assert baseline.fit(frozenset(), ("T1",), "FLAIR") is None


def test_the_other_scale_keeps_angles_and_shrinks():
    linear = another_scale(0.87)[:3, :3]
    np.testing.assert_allclose(linear.T @ linear, 0.87**2 * np.eye(3), atol=1e-12)
    assert np.linalg.det(linear) > 0
    turned = np.degrees(np.arccos((np.trace(linear / 0.87) - 1) / 2))
    assert 3 < turned < 10


def test_runs_name_people_and_weights():
    runs = read_runs(["patient07=a.safetensors", "patient01,glioma=b/c.safetensors"])
    assert runs[frozenset({"patient01", "glioma"})] == Path("b/c.safetensors")
    with pytest.raises(SystemExit, match="people held out"):
        read_runs(["a.safetensors"])


@pytest.mark.real
def test_patient_07_at_another_scale_is_the_same_image(shared):
    visits = {v.name: v for v in load_visits(shared / "data", own_scale=True)}
    moved, plain = visits["patient07 own scale"], visits["patient07"]
    assert moved.person == plain.person
    scan, original = moved.scan("T1"), plain.scan("T1")
    assert scan.voxels.shape == original.voxels.shape
    spacing = np.sqrt((scan.affine[:3, :3] ** 2).sum(axis=0))
    np.testing.assert_allclose(spacing, 0.87, rtol=1e-6)
