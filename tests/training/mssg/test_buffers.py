"""A generator that is saved and loaded is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tests.models.mssg._generators import generator
from training.mssg.buffers import load_generator, save_generator, spread


def test_there_and_back(tmp_path: Path) -> None:
    net = generator()
    save_generator(tmp_path / "run" / "generator.safetensors", net)
    back = load_generator(tmp_path / "run" / "generator.safetensors")
    assert back.sizes == net.sizes
    for name, tensor in net.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["generator.safetensors"]


def test_values_go_to_their_voxels() -> None:
    brain = np.zeros((2, 3, 4), bool)
    brain[0, 1, 2] = brain[1, 2, 3] = True
    volume = spread(np.array([5.0, 7.0], np.float32), brain)
    assert (volume[0, 1, 2], volume[1, 2, 3], volume.sum()) == (5, 7, 12)
