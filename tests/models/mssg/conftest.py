"""The generator made by hand, its package and a patient, once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.models.mssg import _generators as made

from napari_medsyn.models.mssg.generator import MultiSourceGenerator


@pytest.fixture(scope="session")
def net() -> MultiSourceGenerator:
    return made.generator()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.package(tmp_path_factory.mktemp("mssg") / "package")


@pytest.fixture(scope="session")
def t1(net: MultiSourceGenerator) -> NDArray[np.float32]:
    """Somebody with wide ventricles, bent, of a latent that no test draws."""
    labels = torch.tensor([[0.2, -1.0, 1.0, -1.0, -1.0]])
    return made.made_person(net, torch.tensor([[1.0, -1.0, 0.5, 1.0]]), labels)
