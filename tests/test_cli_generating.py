"""`medsyn generate`, with models whose answers are known."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from tests import _fakes
from tests._fakes import ORIGIN, make_package, make_scan
from tests.exploration._painting import FAMILIES, make_painter, painted

from napari_medsyn import cli
from napari_medsyn.scans.picture_files import read_picture

AFFINE = np.eye(4)
AFFINE[:3, 3] = ORIGIN


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """A painter and a model of brains in the user's folder, none embedded."""
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        "napari_medsyn.registry.catalogue.embedded_folder", lambda: tmp_path / "none"
    )
    monkeypatch.setattr("napari_medsyn.models.families.TABLE", FAMILIES)
    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", _fakes.prepare)
    folder = tmp_path / "home" / "models"
    make_package(folder / "fake")
    make_painter(folder / "painter")
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def t1(tmp_path):
    path = tmp_path / "t1.nii.gz"
    nibabel.Nifti1Image(make_scan("T1").voxels, AFFINE).to_filename(path)
    return path


@pytest.fixture
def run(out):
    """Run `medsyn generate` into `out`; gives the exit status."""

    def go(model, *arguments):
        where = ["--model", model, "--out", str(out), "--device", "cpu"]
        return cli.run(["generate", *where, *map(str, arguments)])

    return go


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refusal(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_samples_and_their_record_are_written_and_named(run, out, capsys):
    assert run("painter", "--n", 2, "--seed", 6) == 0
    assert names(out) == ["provenance.json", "sample_0001.png", "sample_0002.png"]
    printed = capsys.readouterr()
    files = ["sample_0001.png", "sample_0002.png", "provenance.json"]
    assert printed.out.splitlines() == [str(out / name) for name in files]
    assert printed.err == ""
    seen = painted(7)[::-1, ::-1, 0].T
    pixels = read_picture(out / "sample_0002.png").pixels
    np.testing.assert_array_equal(pixels, np.rint(seen * 255.0).astype(np.uint8))


def test_of_many_files_the_first_and_the_last_are_named(run, out, capsys):
    assert run("painter", "--n", 21) == 0
    first, record = capsys.readouterr().out.splitlines()
    assert first == f"{out / 'sample_0001.png'} to sample_0021.png: 21 files"
    assert record == str(out / "provenance.json")


def test_settings_format_bits_and_sheet(run, out):
    settings = ["--set", "brightness=0.5", "--set", "latent.tall=1", "--set", "latent.1=0.25"]
    assert run("painter", *settings, "--format", "npy", "--sheet", "--bits", 16) == 0
    assert names(out) == ["provenance.json", "sample_0001_SYNTHETIC.npy", "sheet.png"]
    array = np.load(out / "sample_0001_SYNTHETIC.npy", allow_pickle=False)
    np.testing.assert_array_equal(array, painted(0, 0.5, 0.25))
    record = json.loads((out / "provenance.json").read_text())
    assert record["controls"]["latent"] == [0.25, 1.0, 0.0]


def test_posterior_samples_of_a_patient(run, out, t1):
    arguments = ["--input", f"t1={t1}", "--n", 2, "--target", "flair"]
    assert run("fake-brain", *arguments) == 0
    assert names(out) == ["provenance.json", "sample_0001.nii.gz", "sample_0002.nii.gz"]
    image = nibabel.load(out / "sample_0001.nii.gz")
    np.testing.assert_array_equal(image.affine, AFFINE)
    record = json.loads((out / "provenance.json").read_text())
    assert record["controls"]["samples"] == 1
    assert str(t1) not in json.dumps(record)


def test_what_is_beyond_training_is_said_once(run, capsys):
    assert run("painter", "--n", 3, "--set", "brightness=2") == 0
    assert capsys.readouterr().err.count("beyond the training range") == 1


def test_a_second_run_is_refused_unless_it_may_replace(run, out, capsys):
    assert run("painter") == 0
    before = (out / "sample_0001.png").read_bytes()
    capsys.readouterr()
    assert run("painter", "--seed", 5) == 2
    assert "exists already; choose another folder or say --overwrite" in refusal(capsys)
    assert (out / "sample_0001.png").read_bytes() == before
    assert run("painter", "--seed", 5, "--overwrite") == 0
    assert (out / "sample_0001.png").read_bytes() != before


def test_an_interruption_says_what_there_is(run, out, capsys):
    assert run("painter", "--n", 9, "--set", "mood=interrupted") == 130
    assert f"interrupted; 3 of 9 samples were written to {out}" in refusal(capsys)
    assert json.loads((out / "provenance.json").read_text())["made"] == 3


def test_an_interruption_at_the_beginning_leaves_nothing(run, out, capsys):
    assert run("painter", "--n", 9, "--seed", 3, "--set", "mood=interrupted") == 130
    assert "nothing was written" in refusal(capsys)
    assert not out.exists()


def test_a_model_that_fails_ends_with_1(run, out, capsys):
    assert run("painter", "--set", "mood=bug") == 1
    assert "The model failed (ZeroDivisionError: a bug in the model)" in refusal(capsys)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "there is no model 'nonsense'"),
        (["fake-brain"], "reads scans: give it at least one of T1, T2, FLAIR"),
        (["painter", "--input", "T1=a.nii"], "Painter reads no scans; leave it out"),
        (["painter", "--mask", "m.nii"], "a mask goes with scans"),
        (["fake-brain", "--input", "CT=a.nii"], "does not read 'CT'"),
        (["painter", "--set", "brightness"], "write NAME=VALUE"),
        (["painter", "--set", "size=3"], "has no control 'size'"),
        (["painter", "--set", "brightness=dim"], "'dim' is not a number"),
        (["painter", "--set", "brightness=nan"], "outside 0 to 2"),
        (["painter", "--set", "brightness.1=1"], "one value, without parts"),
        (["painter", "--set", "grade=3"], "is not one of 1, 2"),
        (["painter", "--set", "mirror=maybe"], "write true or false"),
        (["painter", "--set", "latent=1,2"], "needs 3 numbers"),
        (["painter", "--set", "latent.4=1"], "by place from 1 to 3"),
        (["painter", "--set", "latent.wide=9"], "is outside -3 to 3"),
        (["painter", "--set", "seed=3"], "give the seed by --seed"),
        (["painter", "--seed", "4294967295", "--n", "2"], "outside 0 to 4294967295"),
        (["painter", "--target", "CT"], "Painter does not give 'CT'; it knows MG"),
        (["painter", "--n", "0"], "Invalid value for '--n'"),
        (["painter", "--format", "jpg"], "Invalid value for '--format'"),
        (["painter", "--device", "cuda"], "torch has no device 'cuda'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(
    run, out, capsys, arguments, message
):
    assert run(*arguments) == 2
    assert message in refusal(capsys)
    assert not out.exists()


def test_a_model_that_is_only_listed_is_refused(run, models, capsys):
    make_painter(
        models / "listed", id="listed", execution="none", files=[], requires={"note": "needs 80 GB"}
    )
    assert run("listed") == 2
    assert "listed cannot be run: needs 80 GB" in refusal(capsys)


def test_a_judge_is_refused(run, models, capsys):
    from tests.evaluation._judges import make_judge

    make_judge(models / "judge-t1")
    assert run("judge-t1") == 2
    assert "judge-t1 is a judge, not a generator" in refusal(capsys)
