from __future__ import annotations

from pathlib import Path

import pytest
from tests.training.data._made import write_shared


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A made-up shared data folder; not to be changed."""
    return write_shared(tmp_path_factory.mktemp("shared") / "data")


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")
