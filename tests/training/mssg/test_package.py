"""A packed generator is a package that runs, a quarter of the size."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from tests.models.mssg._generators import generator, label_model
from training.mssg import package
from training.mssg.buffers import save_generator

from napari_medsyn.models.families import load_family
from napari_medsyn.models.family import Region
from napari_medsyn.registry.packages import verify


def test_it_packs_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(label_model()))
    net = generator()
    save_generator(tmp_path / "multi" / "generator.safetensors", net)
    out = tmp_path / "mssg-brain-t1"
    arguments = ["--run", str(tmp_path), "--generator", str(tmp_path / "multi"), "--out", str(out)]
    monkeypatch.setattr(package, "NAMED_BY", 6)
    for _ in range(2):  # the second time in the place of the first
        monkeypatch.setattr(sys, "argv", ["package", *arguments])
        package.main()
    card = verify(out)
    assert card.covariates == ("age", "sex", "ventricles", "lesions", "cohort")
    full = (tmp_path / "multi" / "generator.safetensors").stat().st_size
    assert card.weights.bytes < 0.5 * full
    family = load_family(out, card, "cpu")
    controls = {c.name: c.check(c.default) for c in card.controls} | {"task": "generate"}
    made = family.render(family.condition(None, controls), controls, Region((40,))).mean
    assert set(made) == {"T1", "FLAIR"}
    assert float(torch.from_numpy(made["T1"]).max()) > 0.3
