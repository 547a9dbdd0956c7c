"""`medsyn judge`, with a judge whose answers are known."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from tests import _fakes
from tests._fakes import ORIGIN, make_package, make_scan
from tests.evaluation._judges import JUDGES, make_judge

from napari_medsyn import cli
from napari_medsyn.scans.writing import write_scan

AFFINE = np.eye(4)
AFFINE[:3, 3] = ORIGIN


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """A generator and a judge of T1 in the user's folder; the identity as preparation."""
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        "napari_medsyn.registry.catalogue.embedded_folder", lambda: tmp_path / "none"
    )
    monkeypatch.setattr("napari_medsyn.models.families.load_judge.__defaults__", (JUDGES,))
    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", _fakes.prepare)
    make_package(tmp_path / "home" / "models" / "fake")
    make_judge(tmp_path / "home" / "models" / "judge-t1")


@pytest.fixture
def t1(tmp_path):
    path = tmp_path / "t1.nii.gz"
    nibabel.Nifti1Image(make_scan("T1").voxels, AFFINE).to_filename(path)
    return path


def run(*arguments):
    return cli.run(["judge", "--device", "cpu", *map(str, arguments)])


def test_the_table_shows_values_units_and_what_it_is_for(t1, capsys):
    assert run("--input", f"T1={t1}") == 0
    text = capsys.readouterr().out
    brain = next(line for line in text.splitlines() if "Brain" in line)
    assert "judge-t1" in brain
    assert "0.48" in brain  # 6 x 8 x 10 voxels of 1 mm
    assert "ml" in brain
    assert "not for diagnosis" in text
    assert "SYNTHETIC" not in text


def test_json_holds_every_reading(t1, capsys):
    assert run("--input", f"t1={t1}", "--judge", "judge-t1", "--json") == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["judge"] == "judge-t1"
    assert "not for diagnosis" in answer["purpose"]
    assert answer["readings"][0]["value"] == pytest.approx(0.48)
    assert (answer["readings"][0]["spread"], answer["readings"][0]["unit"]) == (0.25, "ml")


def test_of_a_synthetic_scan_it_says_so(tmp_path, capsys):
    scan = replace(make_scan("T1"), is_synthetic=True, facts={"provenance": {"SYNTHETIC": True}})
    path = write_scan(scan, tmp_path / "made.nii.gz")
    assert run("--input", f"T1={path}") == 0
    assert "Measured on a SYNTHETIC scan" in capsys.readouterr().out


def test_maps_and_provenance_are_written_on_the_grid_of_the_scan(t1, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("--input", f"T1={t1}", "--out", out) == 0
    image = nibabel.load(out / "judge-t1" / "halves.nii.gz")
    np.testing.assert_array_equal(image.affine, AFFINE)
    voxels = make_scan("T1").voxels
    expected = np.where(voxels > 0, np.where(voxels > 75, 2, 1), 0)
    np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
    told = json.loads((out / "judge-t1" / "provenance.json").read_text())
    assert (told["model"], told["sources_are_synthetic"]) == ("judge-t1", False)
    assert told["legends"] == {"halves": {"1": "dark", "2": "bright"}}
    assert told["readings"][0]["value"] == pytest.approx(0.48)
    capsys.readouterr()
    assert run("--input", f"T1={t1}", "--out", out) == 2
    assert "exists already" in capsys.readouterr().err
    assert run("--input", f"T1={t1}", "--out", out, "--overwrite") == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--input", "T2={t1}"], "no installed judge reads 'T2'; it knows T1"),
        (["--input", "T1={t1}", "--judge", "fake-brain"], "is a generator, not a judge"),
        (["--input", "T1={t1}", "--judge", "x"], "there is no model 'x'; known models: judge-t1"),
        (["--input", "{t1}"], "write MODALITY=PATH"),
    ],
)
def test_what_cannot_be_judged_is_one_line(t1, capsys, arguments, reason):
    assert run(*(argument.format(t1=t1) for argument in arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert reason in captured.err


def test_judges_are_listed_with_their_kind_and_cannot_impute(t1, tmp_path, capsys):
    assert cli.run(["models", "list"]) == 0
    generator, judge = capsys.readouterr().out.splitlines()
    assert "(judge)" not in generator
    assert judge == (
        "judge-t1  1.2.0  Fake judge (judge): reads T1; measures brain, brightness; gives halves"
    )
    assert cli.run(["models", "list", "--json"]) == 0
    kinds = [entry["kind"] for entry in json.loads(capsys.readouterr().out)]
    assert kinds == ["generator", "judge"]
    arguments = ["impute", "--input", f"T1={t1}", "--out", str(tmp_path / "o")]
    assert cli.run([*arguments, "--model", "judge-t1"]) == 2
    assert "judge-t1 is a judge, not a generator" in capsys.readouterr().err
