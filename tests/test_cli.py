from __future__ import annotations

import json
import subprocess
import sys
from types import ModuleType

import nibabel
import numpy as np
import pytest
from tests import _fakes
from tests._fakes import FAMILIES, MODALITIES, ORIGIN, SHAPE, answer_of, make_package, make_scan

from napari_medsyn import cli
from napari_medsyn.errors import UnusableFile, UnusableStudy
from napari_medsyn.scans.study import Study

AFFINE = np.eye(4)
AFFINE[:3, 3] = ORIGIN


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """One fake model in the user's folder, none embedded, the identity as preparation."""
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    embedded = tmp_path / "embedded"
    monkeypatch.setattr("napari_medsyn.registry.catalogue.embedded_folder", lambda: embedded)
    monkeypatch.setattr("napari_medsyn.models.families.TABLE", FAMILIES)
    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", _fakes.prepare)
    make_package(tmp_path / "home" / "models" / "fake")
    return tmp_path / "home" / "models"


@pytest.fixture
def scans(tmp_path):
    """T1 and T2 as files."""
    paths = {}
    for modality in ("T1", "T2"):
        paths[modality] = tmp_path / f"{modality.lower()}.nii.gz"
        nibabel.Nifti1Image(make_scan(modality).voxels, AFFINE).to_filename(paths[modality])
    return paths


@pytest.fixture
def impute(scans, tmp_path):
    """Run `medsyn impute` on T1 and T2 with more arguments; gives the exit status."""

    def run(*more, out="out"):
        inputs = [f"--input={modality}={path}" for modality, path in scans.items()]
        where = ["--out", str(tmp_path / out), "--device", "cpu"]
        return cli.run(["impute", *inputs, *where, *map(str, more)])

    return run


def one_line(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("medsyn: ")
    return captured.err


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- impute ----------------------------------------------------------------------------


def test_what_is_missing_is_imputed_on_the_grid_of_the_first_input(impute, tmp_path, capsys):
    assert impute() == 0
    out = tmp_path / "out"
    assert names(out) == ["imputed_FLAIR.nii.gz", "provenance.json", "uncertainty_FLAIR.nii.gz"]
    image = nibabel.load(out / "imputed_FLAIR.nii.gz")
    np.testing.assert_array_equal(image.affine, AFFINE)
    voxels = image.get_fdata()
    assert voxels.shape == SHAPE
    assert voxels[3, 3, 6] == pytest.approx(answer_of("FLAIR", 6))
    assert voxels[0, 0, 0] == 0
    captured = capsys.readouterr()
    assert captured.out.split() == [
        str(out / name)
        for name in ("imputed_FLAIR.nii.gz", "uncertainty_FLAIR.nii.gz", "provenance.json")
    ]


def test_the_controls_reach_the_model_and_the_provenance(impute, tmp_path):
    assert impute("--temperature", 0, "--samples", 3, "--seed", 11) == 0
    voxels = nibabel.load(tmp_path / "out" / "imputed_FLAIR.nii.gz").get_fdata()
    assert voxels[3, 3, 6] == pytest.approx(answer_of("FLAIR", 6, 0))
    told = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert told["SYNTHETIC"] is True
    assert told["model"] == "fake-brain"
    assert (told["controls"]["samples"], told["seed"]) == (3, 11)
    assert told["controls"]["present"] == ["T1", "T2"]


def test_only_the_targets_that_are_asked_for_are_written(scans, tmp_path):
    out = tmp_path / "out"
    arguments = ["impute", "--input", f"t2={scans['T2']}", "--out", str(out), "--device", "cpu"]
    assert cli.run([*arguments, "--target", "flair"]) == 0
    assert "imputed_T1.nii.gz" not in names(out)
    assert "imputed_FLAIR.nii.gz" in names(out)


def test_all_outputs_include_reconstructions_and_residuals(impute, tmp_path):
    assert impute("--all-outputs") == 0
    assert {"reconstruction_T1.nii.gz", "residual_T2.nii.gz"} < set(names(tmp_path / "out"))


def test_the_preparation_is_asked_for_what_the_options_say(impute, tmp_path):
    assert impute("--n4", "--register", "never") == 0
    told = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert told["options"]["bias_field"] is True
    assert told["options"]["register"] == "never"


def test_a_mask_is_handed_to_the_preparation_and_told_of(impute, scans, tmp_path, monkeypatch):
    asked = []

    def prepare(study, *rest, **hooks):
        asked.append(study)
        return _fakes.prepare(Study(study.scans[:2]), *rest, **hooks)

    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", prepare)
    mask = tmp_path / "m.nii.gz"
    nibabel.Nifti1Image((make_scan("T1").voxels > 0).astype(np.uint8), AFFINE).to_filename(mask)
    assert impute("--mask", mask) == 0
    (study,) = asked
    assert [(scan.modality, scan.name) for scan in study][-1] == ("label", "brain mask")
    told = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert told["sources"]["label"] == study.scans[-1].content_hash


def test_a_mask_that_cannot_be_read_is_named(impute, tmp_path, capsys):
    assert impute("--mask", tmp_path / "none.nii.gz") == 2
    assert "none.nii.gz" in one_line(capsys)


def test_a_model_can_be_chosen(impute, models, tmp_path):
    make_package(models / "other", id="other")
    assert impute("--model", "other") == 0
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["model"] == "other"


def test_results_are_not_replaced_unless_that_is_said(impute, tmp_path, capsys):
    assert impute() == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    capsys.readouterr()
    assert impute("--temperature", 0) == 2
    told = one_line(capsys)
    assert "imputed_FLAIR.nii.gz: exists already; choose another folder or say --over" in told
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert impute("--temperature", 0, "--overwrite") == 0
    assert (tmp_path / "out" / "imputed_FLAIR.nii.gz").read_bytes() not in before.values()


def test_a_source_is_not_replaced_even_so(scans, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    source = out / "imputed_FLAIR.nii.gz"
    scans["T1"].rename(source)
    arguments = ["impute", f"--input=T1={source}", "--out", str(out), "--overwrite"]
    assert cli.run(arguments) == 2
    assert "is a source of this result" in one_line(capsys)
    assert names(out) == ["imputed_FLAIR.nii.gz"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--input=T1=nowhere.nii.gz"], "nowhere.nii.gz"),
        (["--input=T1"], "--input T1: write MODALITY=PATH, such as T1=scan.nii.gz"),
        (["--input=CT=a.nii.gz"], "a.nii.gz: Fake brain does not read 'CT'; it knows T1, T2"),
        (["--input=T1=a.nii", "--input=t1=b.nii"], "b.nii: T1 was given already as a.nii"),
        (["--input=T1=a.nii", "--target=T1"], "a.nii: T1 is an input, so it is not imputed"),
        (["--input=T1=a.nii", "--target=CT"], "--target CT: Fake brain does not give 'CT'"),
        (["--input=T1=a.nii", "--model=x"], "there is no model 'x'; known models: fake-brain"),
        (["--input=T1=a.nii", "--samples=0"], "samples 0 is outside 1 to 32"),
        (["--input=T1=a.nii", "--temperature=nan"], "temperature nan is outside 0 to 1"),
        (["--input=T1=a.nii", "--device=tpu"], "'--device'"),
        (["--input=T1=a.nii", "--samples=many"], "'--samples'"),
        ([], "Missing option '--input'"),
        (["--input=T1=a.nii", "--surprise"], "--surprise"),
    ],
)
def test_unusable_input_is_one_line_and_leaves_nothing(arguments, sentence, tmp_path, capsys):
    assert cli.run(["impute", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert sentence in one_line(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"not a scan", b"\x1f\x8b\x08\0 broken"])
def test_a_broken_file_is_named(content, tmp_path, capsys):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(content)
    assert cli.run(["impute", f"--input=T1={broken}", "--out", str(tmp_path / "out")]) == 2
    assert str(broken) in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_all_given_leaves_nothing_to_do(scans, tmp_path, capsys):
    flair = tmp_path / "flair.nii.gz"
    nibabel.Nifti1Image(make_scan("FLAIR").voxels, AFFINE).to_filename(flair)
    inputs = [f"--input={m}={p}" for m, p in {**scans, "FLAIR": flair}.items()]
    assert cli.run(["impute", *inputs, "--out", str(tmp_path / "out")]) == 2
    assert "Nothing is missing" in one_line(capsys)


def test_a_folder_that_is_a_file_is_named_before_anything_is_computed(impute, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert impute() == 2
    assert "out: cannot be made a folder" in one_line(capsys)


def test_a_failure_of_the_model_is_exit_status_one_and_leaves_nothing(
    scans, tmp_path, models, capsys, monkeypatch
):
    def fail(self, conditioning, controls, region):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(_fakes.FakeFamily, "render", fail)
    out = tmp_path / "a" / "out"
    arguments = ["impute", f"--input=T1={scans['T1']}", "--out", str(out), "--device", "cpu"]
    assert cli.run(arguments) == 1
    assert "The model failed (ZeroDivisionError: a bug)" in one_line(capsys)
    assert not (tmp_path / "a").exists()


def test_a_device_that_is_not_there_is_unusable_input(scans, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    arguments = ["impute", f"--input=T1={scans['T1']}", "--out", str(tmp_path / "out")]
    assert cli.run([*arguments, "--device", "cuda"]) == 2
    assert "torch has no device 'cuda' on this computer" in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_what_the_preparation_refuses_names_the_file(scans, tmp_path, capsys, monkeypatch):
    def prepare(study, *rest, **hooks):
        raise UnusableStudy(f"{study.reference.name}: no brain was found in it")

    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", prepare)
    arguments = ["impute", f"--input=T1={scans['T1']}", "--out", str(tmp_path / "out")]
    assert cli.run([*arguments, "--device", "cpu"]) == 2
    assert f"{scans['T1']}: no brain was found" in one_line(capsys)


def test_damaged_weights_are_unusable_input(impute, models, tmp_path, capsys):
    weights = models / "fake" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
    assert impute() == 2
    assert "SHA-256" in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_ctrl_c_leaves_nothing(impute, tmp_path, capsys, monkeypatch):
    def interrupt(self, conditioning, controls, region):
        raise KeyboardInterrupt

    monkeypatch.setattr(_fakes.FakeFamily, "render", interrupt)
    assert impute() == 130
    assert "interrupted; nothing was written" in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_a_terminal_sees_progress_on_standard_error_only(impute, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert impute() == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3


# ---- models ----------------------------------------------------------------------------


def test_models_are_listed_with_what_is_wrong(models, capsys):
    (models / "broken").mkdir()
    assert cli.run(["models", "list"]) == 0
    broken, whole = capsys.readouterr().out.splitlines()
    assert "BROKEN" in broken
    assert "card.json: is missing" in broken
    assert whole == "fake-brain  1.2.0  Fake brain: reads T1, T2, FLAIR; gives T1, T2, FLAIR"


def test_the_list_as_json(models, capsys):
    assert cli.run(["models", "list", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    expected = {
        "id": "fake-brain",
        "kind": "generator",
        "family": "fake",
        "embedded": False,
        "path": str(models / "fake"),
        "folder": str(models / "fake"),
        "origin": "user",
        "usable": True,
        "reason": "",
        "version": "1.2.0",
        "name": "Fake brain",
        "inputs": list(MODALITIES),
        "outputs": list(MODALITIES),
        "readings": [],
    }
    assert {name: entry[name] for name in expected} == expected


def test_info_shows_the_card(capsys):
    assert cli.run(["models", "info", "fake-brain"]) == 0
    text = capsys.readouterr().out
    assert "Fake brain (fake-brain 1.2.0), BSD-3-Clause" in text
    assert "limitation: Knows nothing." in text
    assert "measured on made up, n = 3:\n  PSNR        25\n" in text
    assert cli.run(["models", "info", "fake-brain", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)["card"]
    assert card["intended_use"] == "Tests."


def test_info_of_an_unknown_model_is_refused(capsys):
    assert cli.run(["models", "info", "x"]) == 2
    assert "known models: fake-brain" in one_line(capsys)


def test_verify_compares_every_hash(models, capsys):
    assert cli.run(["models", "verify"]) == 0
    assert capsys.readouterr().out == "fake-brain: ok\n"
    weights = models / "fake" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
    assert cli.run(["models", "verify", "fake-brain"]) == 2
    assert "SHA-256 is not the one on the card" in one_line(capsys)
    assert cli.run(["models", "verify", "--json"]) == 2
    (answer,) = json.loads(capsys.readouterr().out)
    assert (answer["id"], answer["ok"]) == ("fake-brain", False)


def test_verify_takes_folders_and_refuses_unknown_names(tmp_path, capsys):
    make_package(tmp_path / "elsewhere", id="elsewhere")
    assert cli.run(["models", "verify", str(tmp_path / "elsewhere")]) == 0
    assert capsys.readouterr().out == "elsewhere: ok\n"
    assert cli.run(["models", "verify", "nothing"]) == 2
    assert "there is no model 'nothing'" in one_line(capsys)


# ---- the rest --------------------------------------------------------------------------


def test_app_and_demo_hand_over_to_the_plugin(tmp_path, monkeypatch):
    asked = {}
    window, show = ModuleType("napari_medsyn.plugin.app"), ModuleType("napari_medsyn.plugin.demo")
    window.run_app = lambda files: asked.update(files=files)  # type: ignore[attr-defined]
    show.run_demo = lambda out: asked.update(out=out) or 3  # type: ignore[attr-defined,func-returns-value]
    for module in (window, show):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    files = [tmp_path / "a.nii", tmp_path / "b.nii"]
    for file in files:
        file.touch()
    assert cli.run(["app", *map(str, files)]) == 0
    assert asked["files"] == files
    assert cli.run(["demo", "--out", str(tmp_path)]) == 3
    assert asked["out"] == tmp_path


def test_an_unknown_command_is_one_line(capsys):
    assert cli.run(["fly"]) == 2
    assert "No such command 'fly'" in one_line(capsys)


def test_version_and_help_import_nothing_heavy():
    code = (
        "import sys; from napari_medsyn import cli; status = cli.run(sys.argv[1:]);"
        "heavy = ['numpy', 'torch', 'napari', 'SimpleITK', 'nibabel', 'pydantic'];"
        "print(status, [name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    for argument in ("--version", "--help"):
        done = subprocess.run(
            [sys.executable, "-c", code, argument], capture_output=True, text=True, check=True
        )
        assert done.stderr == "0 []\n"
        assert "medsyn" in done.stdout


def test_app_refuses_a_file_that_is_not_there_before_a_window_opens(tmp_path, capsys):
    assert cli.run(["app", str(tmp_path / "nowhere.nii.gz")]) == 2
    said = capsys.readouterr().err
    assert said == f"medsyn: {tmp_path / 'nowhere.nii.gz'}: does not exist\n"


def test_an_option_is_named_only_where_there_is_one(monkeypatch, capsys):
    def occupied(out):
        raise UnusableFile(out, "exists already; choose another name or allow it to be replaced")

    module = ModuleType("napari_medsyn.plugin.demo")
    module.run_demo = occupied  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert cli.run(["demo", "--out", "there"]) == 2
    assert one_line(capsys) == "medsyn: there: exists already; choose another name\n"
