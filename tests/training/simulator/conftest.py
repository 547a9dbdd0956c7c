from __future__ import annotations

import pytest
import torch
from tests.training.simulator._made import write_data
from training.simulator import Simulator


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A made-up shared data folder; not to be changed."""
    return write_data(tmp_path_factory.mktemp("simulator") / "data")


@pytest.fixture(scope="session")
def simulator(made):
    """Of the two label maps; not to be changed."""
    return Simulator(made, sources=("synthseg",))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(11)
