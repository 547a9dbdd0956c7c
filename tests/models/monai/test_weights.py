"""Tensors out of a bundle's weight files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.models.monai.weights import read_weights

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


def saved(path: Path, tree: object) -> Path:
    torch.save(tree, path)  # noqa: TID251 - what published bundles hold
    return path


@pytest.mark.parametrize(
    "tree",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model": {"state_dict": STATE}},
        {f"module.{name}": tensor for name, tensor in STATE.items()},
        {f"unet.{name}": tensor for name, tensor in STATE.items()}
        | {f"autoencoder.{name}": tensor for name, tensor in STATE.items()},
    ],
)
def test_the_state_dict_is_found(tmp_path: Path, tree: dict[str, object]) -> None:
    read = read_weights(saved(tmp_path / "model.pt", tree), "unet")
    assert read.keys() == STATE.keys()
    assert all(torch.equal(read[name], STATE[name]) for name in STATE)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "model.safetensors")
    read = read_weights(tmp_path / "model.safetensors", "generator")
    assert all(torch.equal(read[name], STATE[name]) for name in STATE)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(UnusableModel, match="not a safetensors file"):
        read_weights(tmp_path / "model.safetensors", "generator")


@pytest.mark.parametrize("tree", [{}, [1], {"a": 1}, {"a": np.float64}])
def test_a_file_without_tensors_is_refused(tmp_path: Path, tree: object) -> None:
    with pytest.raises(UnusableFile):
        read_weights(saved(tmp_path / "model.pt", tree), "unet")


class Runs:
    """A checkpoint that would make a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.pt", {**STATE, "evil": Runs(tmp_path / "ran")})
    with pytest.raises(UnusableFile):
        read_weights(path, "unet")
    assert not (tmp_path / "ran").exists()
