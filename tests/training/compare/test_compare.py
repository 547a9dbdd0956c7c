from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file
from tests.training.mmhvae._made import TINY, small_visit
from training.compare import __main__ as compare
from training.compare import scoring
from training.compare.imputers import FamilyImputer
from training.compare.loading import imputer_of
from training.unet.network import Layout, UNet
from training.unet.recipe import UNetImputer
from training.voxelwise.regression import VoxelWise

from napari_medsyn.models.mmhvae import MMHVAE, Topology

SMALL = Layout(widths=(8, 8), head_features=8)


def run_of(folder, network, architecture):
    """A run's folder with untrained weights."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    state = network().state_dict()
    for head in (v for k, v in state.items() if k.endswith("out.bias") and len(v) == 8):
        head -= 2  # scales within their range, so that the spread is not the same everywhere
    save_file(state, folder / "weights.safetensors")
    (folder / "run.json").write_text(json.dumps({"architecture": architecture}))
    return folder / "weights.safetensors"


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "SMALLEST_SLICE", 1000)
    regression = tmp_path / "voxelwise.json"
    VoxelWise.fit([small_visit("msv-01"), small_visit("msv-03")], every=3).save(regression)
    return {
        "mmhvae": run_of(tmp_path / "m", lambda: MMHVAE(Topology.from_card(TINY)), TINY),
        "unet": run_of(tmp_path / "u", lambda: UNet(SMALL), SMALL.as_dict()),
        "voxelwise": regression,
    }


def test_weights_are_loaded_as_what_they_are(models):
    kinds = {name: type(imputer_of(path)) for name, path in models.items()}
    assert kinds == {"mmhvae": FamilyImputer, "unet": UNetImputer, "voxelwise": VoxelWise}


def test_weights_without_a_record_are_refused(models):
    record = models["mmhvae"].parent / "run.json"
    record.write_text("{}")
    with pytest.raises(ValueError, match="names no architecture"):
        imputer_of(models["mmhvae"])
    record.unlink()
    with pytest.raises(ValueError, match=r"run\.json does not exist"):
        imputer_of(models["mmhvae"])


def test_models_are_compared_on_the_same_slices(models, tmp_path, monkeypatch, capsys):
    parts = {"validation": [small_visit()], "test": [small_visit("ms-07", lesions=True)]}
    monkeypatch.setattr(compare, "load_visits", lambda _, parts: parts_of[parts[0]])
    parts_of = parts
    monkeypatch.setattr(compare, "data_hash", lambda _: "abc")
    entries = [f"{name}={path}" for name, path in models.items()]
    out = tmp_path / "out"
    monkeypatch.setattr(
        "sys.argv",
        [
            "compare",
            "--data",
            str(tmp_path),
            "--out",
            str(out),
            "--every",
            "4",
            "--models",
            *entries,
        ],
    )
    compare.main()
    record = json.loads((out / "compare.json").read_text())
    assert {r["model"] for r in record["rows"]} == set(models)
    # Calibrated on the validation part: what is applied to the test part covers there.
    assert set(record["std_scale"]) == {"mmhvae", "unet"}
    rows = [r for r in record["rows"] if (r["model"], r["part"]) == ("unet", "validation")]
    mean = sum(r["scale"] for r in rows) / len(rows)
    assert record["std_scale"]["unet"] == pytest.approx(mean)
    voxelwise = [r for r in record["rows"] if r["model"] == "voxelwise"]
    assert all("coverage" not in r for r in voxelwise)
    # What follows from the other modalities voxel by voxel is found by the regression.
    t2 = next(r for r in voxelwise if (r["part"], r["given"], r["target"]) == ("test", "T1", "T2"))
    assert t2["psnr"] > 50
    text = (out / "compare.md").read_text()
    assert "## test, from T1 alone" in text
    assert text.strip() in capsys.readouterr().out


def test_the_summary_weighs_people_and_targets_alike():
    def row(person, target, psnr):
        names = {"model": "m", "part": "test", "given": "others", "visit": f"{person} {psnr}"}
        return {**names, "person": person, "target": target, "psnr": psnr, "ssim": 0.5}

    rows = [row("a", "T1", 20.0), row("a", "T1", 24.0), row("b", "T1", 30.0), row("b", "T1c", 10.0)]
    found = {r["target"]: r["psnr"] for r in compare.summary(rows)}
    assert found == {"T1": 26.0, "T1c": 10.0, "all": 18.0, "all but T1c": 26.0}


@pytest.mark.parametrize("entry", ["mmhvae", "mmhvae=nowhere.safetensors"])
def test_models_that_are_not_there_are_refused(monkeypatch, tmp_path, capsys, entry):
    argv = ["compare", "--data", str(tmp_path), "--out", str(tmp_path), "--models", entry]
    monkeypatch.setattr("sys.argv", argv)
    with pytest.raises(SystemExit):
        compare.main()
    assert "write a name, =, and the weights of a run" in capsys.readouterr().err
