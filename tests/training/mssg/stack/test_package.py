"""Packing a run: a package that loads, in half precision, with an honest card."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from training.mssg.stack.config import FEATURES, LAYOUT, Config
from training.mssg.stack.package import pack

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.families import load_family
from napari_medsyn.models.family import Region
from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.stylegan2.network import Generator
from napari_medsyn.registry.card import ModelCard, read_card

SUPPORTS = {"age": (19.6, 81.9), "ventricles": (8.0, 71.0), "lesions": (0.3, 50.0)}
METRIC = {"name": "Age", "value": 0.5, "direction": "higher", "data_set": "made people", "n": 9}
PERSON = {"age": 50, "sex": "M", "ventricles": None, "lesions": 3, "cohort": "ms", "seed": 3}


def labels() -> LabelModel:
    rng = np.random.default_rng(0)
    people = []
    for name, volume in (("ixi", "ventricles"), ("ms", "lesions")):
        recorded = {
            "age": rng.uniform(20, 80, 12),
            "sex": rng.integers(0, 2, 12).astype(float),
            volume: rng.uniform(10, 40, 12),
        }
        people.append(SimpleNamespace(name=name, labels=recorded))
    return LabelModel.fit(people)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    save_file(dict(Generator(LAYOUT).state_dict()), folder / "weights.safetensors")
    record = {
        "config": Config(steps=70, batch=32, warm_up=15, head_start=5).as_dict(),
        "command": "python -m training.mssg.stack",
        "step": 50,
        "elapsed_s": 600.0,
        "features": list(FEATURES),
        "people": [101, 150],
        "hardware": {"cpu": "one"},
        "data_hash": "0" * 64,
        "start": str(folder / "before" / "weights.safetensors"),
    }
    (folder / "run.json").write_text(json.dumps(record))
    config = Config(steps=70, batch=32, warm_up=70, head_start=0).as_dict()
    (folder / "before").mkdir()
    before = json.dumps({**record, "step": 20, "config": config, "start": None})
    (folder / "before" / "run.json").write_text(before)
    (folder / "metrics.json").write_text(json.dumps([METRIC]))
    (folder / "labels.json").write_text(json.dumps(labels().to_json()))
    return folder


@pytest.fixture(scope="module")
def packed(run: Path) -> tuple[ModelCard, Path]:
    out = run / "package"
    return pack(run, out, run / "labels.json", "0.1.0", SUPPORTS), out


def test_a_package_is_small_and_draws(packed: tuple[ModelCard, Path]) -> None:
    card, out = packed
    assert sum(file.bytes for file in card.files) < 4_000_000
    assert {file.name for file in card.files} == {"weights.safetensors", "preview.png"}
    family = load_family(out, read_card(out), "cpu")
    image = family.render(None, PERSON, Region((30, 31))).mean["T1"]
    assert image.shape == (64, 64, 2)
    assert np.isfinite(image).all()


def test_the_card_says_what_was_measured_and_how_much_was_seen(
    packed: tuple[ModelCard, Path],
) -> None:
    card, _ = packed
    assert [(m.name, m.value) for m in card.metrics] == [("Age", 0.5)]
    first, last = card.provenance["runs"]
    assert (first["real_slices_shown"], first["of_these_to_the_discriminator"]) == (640, 0)
    assert (last["real_slices_shown"], last["of_these_to_the_discriminator"]) == (1600, 1280)
    assert {data.licence for data in card.training_data} == {"CC-BY-SA-3.0", "CC-BY-4.0"}
    assert card.covariates == ("age", "sex", "ventricles", "lesions", "cohort")
    age = next(control for control in card.controls if control.name == "age")
    assert "81.9" in age.warning(90.0)
    assert age.check(None) is None


def test_a_figure_that_is_none_is_refused(run: Path, tmp_path: Path) -> None:
    for path in run.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "metrics.json").write_text(json.dumps([{"name": "Age"}]))
    with pytest.raises(UnusableModel, match="value"):
        pack(tmp_path, tmp_path / "out", run / "labels.json", "0.1.0", SUPPORTS)
    assert not (tmp_path / "out").exists()
