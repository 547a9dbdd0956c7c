from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from tests._fakes import card_values
from training.judges.packaging import half, write_package

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.packages import verify

READINGS = [{"name": "age", "label": "Age", "unit": "years"}]


def judge_card(**changes):
    values = {"kind": "judge", "outputs": [], "readings": READINGS, "controls": []}
    card = card_values(**{**values, **changes})
    del card["files"]
    return card


def test_a_package_is_whole_and_carries_its_picture(tmp_path):
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"a picture")
    folder = tmp_path / "judge"
    write_package(folder, judge_card(), {"a": torch.ones(3)}, picture)
    card = verify(folder)
    assert card.is_judge
    assert {file.name for file in card.files} == {"weights.safetensors", "preview.png"}
    assert (folder / "weights.safetensors").stat().st_mode & 0o044
    # Written again without a picture, the one that is there stays listed.
    write_package(folder, judge_card(version="2.0"), {"a": torch.zeros(3)}, None)
    assert len(verify(folder).files) == 2


def test_a_card_that_does_not_validate_is_not_written(tmp_path):
    with pytest.raises(UnusableModel, match="measures nothing"):
        write_package(tmp_path / "j", judge_card(readings=[]), {"a": torch.ones(1)}, None)
    assert not (tmp_path / "j" / "card.json").exists()


def test_halves_are_halves_and_what_is_kept_is_whole(tmp_path):
    tensors = {"a": torch.tensor([1.0, 1e-4]), "big": torch.tensor([1e6]), "n": torch.tensor(7)}
    small = half(tensors, keep=("big",))
    assert small["a"].dtype == torch.float16
    assert small["big"].item() == 1e6
    assert (small["n"].dtype, small["n"].item()) == (torch.int64, 7)
    with pytest.raises(ValueError, match="big does not fit half precision"):
        half(tensors)
    write_package(tmp_path / "j", judge_card(), small, None)
    assert load_file(tmp_path / "j" / "weights.safetensors")["a"].dtype == torch.float16
    assert json.loads((tmp_path / "j" / "card.json").read_text())["kind"] == "judge"
