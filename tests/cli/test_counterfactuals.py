"""`medsyn counterfactual`, with a model whose answers are known."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_medsyn import cli

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


def test_files_are_not_replaced_unless_that_is_said(run, out, capsys):
    out.mkdir()
    (out / "difference_T1.nii.gz").write_bytes(b"mine")
    assert run("--set", "age=60") == 2
    assert "difference_T1.nii.gz: exists already; choose another folder or say --overwrite" in (
        refusal(capsys)
    )
    assert (out / "difference_T1.nii.gz").read_bytes() == b"mine"
