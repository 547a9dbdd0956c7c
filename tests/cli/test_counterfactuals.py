"""`medsyn counterfactual`, with a model whose answers are known."""

from __future__ import annotations

import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from tests import _people
from tests._fakes import make_scan
from tests._people import WARNING, make_covariate_judge

from napari_medsyn import cli
from napari_medsyn.exploration.plausible import Hint

pytestmark = pytest.mark.usefixtures("models")

HEAVY = ("numpy", "torch", "nibabel", "SimpleITK", "scipy")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(t1, out):
    """Run `medsyn counterfactual` on the T1 into `out`; gives the exit status."""

    def go(*arguments, model="people", inputs=None):
        given = [f"--input={one}" for one in (inputs or [f"T1={t1}"])]
        where = ["--model", model, *given, "--out", str(out), "--device", "cpu"]
        return cli.run(["counterfactual", *where, *map(str, arguments)])

    return go


@pytest.fixture
def nothing_computed(monkeypatch):
    """What is refused is refused before the model is asked."""

    def ask(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(_people.People, "condition", ask)


def refusal(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("medsyn: ")
    return captured.err


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom napari_medsyn.cli import run\n"
        "status = run(['counterfactual', '--help'])\n"
        f"print('loaded:', *[name for name in {HEAVY} if name in sys.modules])\n"
        "sys.exit(status)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].split() == ["loaded:"]
    assert "--sweep" in result.stdout


@pytest.mark.usefixtures("nothing_computed")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing is to be otherwise; say --set age=70 or --sweep age=30:80:11"),
        (["--set", "age"], "--set age: write NAME=VALUE"),
        (["--set", "age=7"], "--set age=7: People: age 7.0 is outside 18 to 90"),
        (["--set", "height=7"], "--set height=7: People has no control 'height'; it has age"),
        (["--set", "mixing=own"], "a patient has no mixing; age, sex may be own"),
        (["--set", "age=60", "--from", "mixing=3"], "--from mixing=3: mixing cannot be given"),
        (["--set", "age=60", "--from", "age=x"], "--from age=x: 'x' is not a number"),
        (["--set", "age=60", "--sweep", "age=30:80:3"], "age is set by --set, too; leave one"),
        (["--sweep", "age=30:80"], "write FROM:TO:STEPS, such as age=30:80:11"),
        (["--sweep", "mixing=0:2:3"], "--sweep mixing=0:2:3: mixing cannot be given here"),
        (["--set", "age=60", "--separate"], "--separate is of a series; say --sweep"),
        (["--set", "age=60", "--animation", "a.gif"], "--animation is of a series; say --sweep"),
        (["--sweep", "sex=F,M", "--animation", "a.mp4"], "a.mp4: an animation is a .gif"),
        (["--sweep", "sex=F,M", "--animation", "no/a.gif"], "no: is not a folder; make it first"),
        (["--set", "age=60", "--judge"], "there is no model 'judge-covariates-t1'"),
        (["--set", "age=60", "--device", "tpu"], "'--device'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(
    run, out, capsys, arguments, message
):
    assert run(*arguments) == 2
    assert message in refusal(capsys)
    assert not out.exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"inputs": ["T2=a.nii"]}, "a.nii: People does not read 'T2'; it knows T1"),
        ({"inputs": ["T1"]}, "--input T1: write MODALITY=PATH"),
        ({"inputs": ["T1=nowhere.nii.gz"]}, "nowhere.nii.gz"),
        ({"model": "nobody"}, "there is no model 'nobody'"),
        ({"model": "painter"}, "painter makes no counterfactuals of a patient; choose people"),
        ({"model": "fake-brain"}, "fake-brain makes no counterfactuals of a patient"),
    ],
)
def test_a_model_or_scan_that_does_not_fit_is_one_sentence(run, out, capsys, more, message):
    assert run("--set", "age=60", **more) == 2
    assert message in refusal(capsys)
    assert not out.exists()


def test_without_such_a_model_it_is_said_that_there_is_none(run, models, capsys):
    for file in (models / "people").iterdir():
        file.unlink()
    assert run("--set", "age=60", model="painter") == 2
    assert "no installed model does" in refusal(capsys)


@pytest.mark.usefixtures("nothing_computed")
def test_files_are_not_replaced_unless_that_is_said(run, out, capsys):
    out.mkdir()
    (out / "difference_T1.nii.gz").write_bytes(b"mine")
    assert run("--set", "age=60") == 2
    assert "difference_T1.nii.gz: exists already; choose another folder or say --overwrite" in (
        refusal(capsys)
    )
    assert (out / "difference_T1.nii.gz").read_bytes() == b"mine"


# ---- what is computed ------------------------------------------------------------------


def test_files_are_written_and_named_and_what_was_found_is_told(run, out, t1, capsys):
    assert run("--set", "age=60", "--from", "sex=M") == 0
    names = ("counterfactual_T1.nii.gz", "difference_T1.nii.gz", "jacobian_T1.nii.gz")
    printed = capsys.readouterr().out
    assert printed.splitlines()[-4:] == [str(out / name) for name in (*names, "provenance.json")]
    rows = {line.split("│")[1].strip(): line for line in printed.splitlines() if "│" in line}
    assert [cell.strip() for cell in rows["Age"].split("│")[2:-1]] == [
        "44 years",
        "estimated",
        "60 years",
    ]
    assert [cell.strip() for cell in rows["Sex"].split("│")[2:-1]] == ["M", "stated", "own"]
    assert "PSNR 28.2 dB within the brain" in printed
    assert "not for diagnosis" in printed
    image, scan = nibabel.load(out / names[0]), nibabel.load(t1)
    np.testing.assert_array_equal(image.affine, scan.affine)
    brain = scan.get_fdata() > 0
    np.testing.assert_allclose(image.get_fdata() - scan.get_fdata(), 16.0 * brain, atol=1e-4)
    record = json.loads((out / "provenance.json").read_text())
    assert record["counterfactual"]["asked"] == {"age": 60.0, "sex": "M"}
    assert str(t1) not in json.dumps(record)


def test_own_leaves_the_scan_as_it_is(run, out):
    assert run("--set", "age=70", "--set", "age=own") == 0
    assert not nibabel.load(out / "difference_T1.nii.gz").get_fdata().any()


def test_a_poor_reconstruction_is_warned_of_on_standard_error(run, capsys):
    assert run("--set", "age=60", "--from", "age=25") == 0
    captured = capsys.readouterr()
    assert f"medsyn: {WARNING}" in captured.err
    assert WARNING not in captured.out


def test_overwrite_replaces(run, out, capsys):
    assert run("--set", "age=60") == 0
    before = (out / "difference_T1.nii.gz").read_bytes()
    assert run("--set", "age=70") == 2
    assert run("--set", "age=70", "--overwrite") == 0
    assert (out / "difference_T1.nii.gz").read_bytes() != before


def test_the_preparation_is_asked_for_what_the_options_say(run, out):
    assert run("--set", "age=60", "--n4", "--register", "never") == 0
    options = json.loads((out / "provenance.json").read_text())["options"]
    assert (options["bias_field"], options["register"]) == (True, "never")


def test_a_model_that_fails_ends_with_1_and_leaves_nothing(run, out, capsys):
    assert run("--set", "mirror=true") == 1
    assert "The model failed (ZeroDivisionError: a bug in the model)" in refusal(capsys)
    assert not out.exists()


def test_ctrl_c_leaves_nothing(run, out, capsys, monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(_people.People, "render", interrupt)
    assert run("--set", "age=60") == 130
    assert "interrupted; nothing was written" in refusal(capsys)
    assert not out.exists()


def test_the_judge_measures_scan_and_counterfactual(run, out, models, capsys):
    make_covariate_judge(models / "judge")
    assert run("--set", "age=60", "--judge") == 0
    printed = capsys.readouterr().out
    assert "the counterfactual is SYNTHETIC" in printed
    (row,) = [line for line in printed.splitlines() if "Brightness" in line]
    _, asked, scan, after, *_ = (cell.strip() for cell in row.split("│")[1:-1])
    brightest = make_scan("T1").voxels.max() / 100
    assert asked == ""
    assert float(scan) == pytest.approx(brightest, abs=5e-3)
    assert float(after) == pytest.approx(brightest + 0.16, abs=5e-3)
    measured = json.loads((out / "provenance.json").read_text())["counterfactual"]["measured"]
    assert measured["scan"]["brightness"] == pytest.approx(brightest)
    assert measured["counterfactual"][0]["brightness"] == pytest.approx(brightest + 0.16)


# ---- sweeps ----------------------------------------------------------------------------


def test_a_sweep_is_a_4d_file_and_is_told(run, out, capsys):
    assert run("--sweep", "age=44:64:3", "--set", "sex=M") == 0
    assert nibabel.load(out / "difference_T1.nii.gz").shape == (*make_scan("T1").voxels.shape, 3)
    printed = capsys.readouterr().out
    (row,) = [line for line in printed.splitlines() if "│ Age" in line]
    assert row.split("│")[4].strip() == "44 years to 64 years, 3 steps"


def test_a_sweep_may_be_a_file_a_step(run, out, capsys):
    assert run("--sweep", "sex=F,M", "--separate") == 0
    assert (out / "counterfactual_T1_1_sex-F.nii.gz").is_file()
    assert (out / "jacobian_T1_2_sex-M.nii.gz").is_file()
    assert run("--sweep", "sex=F,M", "--separate") == 2
    assert "counterfactual_T1_1_sex-F.nii.gz: exists already" in capsys.readouterr().err


def test_an_animation_is_written_where_it_is_said_and_told(run, tmp_path, capsys):
    path = tmp_path / "a.gif"
    assert run("--sweep", "age=44:64:3", "--animation", path) == 0
    assert path.read_bytes().startswith(b"GIF")
    assert capsys.readouterr().out.splitlines()[-1] == str(path)


def test_an_animation_replaces_nothing_unless_that_is_said(run, out, tmp_path, capsys):
    path = tmp_path / "a.gif"
    path.write_bytes(b"mine")
    assert run("--sweep", "age=44:64:3", "--animation", path) == 2
    assert "a.gif: exists already; choose another name or say --overwrite" in refusal(capsys)
    assert (path.read_bytes(), out.exists()) == (b"mine", False)
    assert run("--sweep", "age=44:64:3", "--animation", path, "--overwrite") == 0
    assert path.read_bytes().startswith(b"GIF")


@pytest.mark.usefixtures("nothing_computed")
def test_an_animation_never_replaces_the_scan(run, out, tmp_path, t1, capsys):
    link = tmp_path / "t1.gif"
    link.hardlink_to(t1)
    assert run("--sweep", "age=44:64:3", "--animation", link, "--overwrite") == 2
    assert "is a source of this result" in refusal(capsys)


def test_the_judge_measures_every_step(run, models, capsys):
    make_covariate_judge(models / "judge")
    assert run("--sweep", "age=44:64:3", "--judge") == 0
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    read = {row[1].strip(): row[2].strip() for row in rows}
    brightest = make_scan("T1").voxels.max() / 100
    assert float(read["scan"]) == pytest.approx(brightest, abs=5e-3)
    assert float(read["44 years"]) == pytest.approx(brightest, abs=5e-3)
    assert float(read["64 years"]) == pytest.approx(brightest + 0.2, abs=5e-3)


# ---- hints -----------------------------------------------------------------------------


def _offers(card, controls):
    """A label model in which men are 54."""
    if controls["sex"] == "F" or controls["age"] == 54:
        return ()
    return (
        Hint("age", "depends", "With sex male, age of about 54 years would be expected.", 54.0),
        Hint("sex", "unsupported", "Sex male was not seen.", None),
    )


@pytest.fixture
def offers(monkeypatch):
    monkeypatch.setattr("napari_medsyn.exploration.counterfactual_series.hints", _offers)


@pytest.mark.usefixtures("offers")
def test_what_goes_together_is_said_on_standard_error_with_what_to_type(run, capsys):
    assert run("--set", "sex=M") == 0
    told = capsys.readouterr().err.splitlines()
    assert (
        "medsyn: hint: With sex male, age of about 54 years would be expected. "
        "(--set age=54, or let it --follow)"
    ) in told
    assert "medsyn: hint: Sex male was not seen." in told


@pytest.mark.usefixtures("offers")
def test_follow_does_what_is_offered(run, capsys):
    assert run("--set", "sex=M", "--follow") == 0
    captured = capsys.readouterr()
    (row,) = [line for line in captured.out.splitlines() if "│ Age" in line]
    assert row.split("│")[4].strip() == "54 years (follows)"
    assert "hint" not in captured.err
