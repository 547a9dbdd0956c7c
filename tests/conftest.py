"""Fixtures for all tests; builders with arguments are in `tests/_builders.py`."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from tests._builders import make_affine, make_scan, make_study

from napari_medsyn.scans.study import Scan, Study

# Before Qt is imported: the binding that the extra `test` installs.
os.environ.setdefault("QT_API", "pyqt6")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `gl` on a Linux without a display."""
    if sys.platform != "linux" or os.environ.get("DISPLAY"):
        return
    for item in items:
        if item.get_closest_marker("gl"):
            item.add_marker(pytest.mark.skip(reason="no display: run under xvfb-run"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240)


@pytest.fixture
def tiny_scan() -> Scan:
    """A T1 of 8 x 9 x 10 voxels, anisotropic, tilted by 12 degrees."""
    return make_scan(affine=make_affine("LPS", tilt_degrees=12))


@pytest.fixture
def tiny_study() -> Study:
    """T1 and T2 on one grid."""
    return make_study(("T1", "T2"))


def shared_folder() -> Path:
    """Where the real scans and reference files are: $MEDSYN_SHARED or ../shared."""
    named = os.environ.get("MEDSYN_SHARED")
    return Path(named) if named else Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder; the test is skipped where there is none."""
    folder = shared_folder()
    if not (folder / "data").is_dir():
        pytest.skip(f"no real scans in {folder}")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models, consent and indexes of the tests are not those of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSYN_HOME", str(tmp_path_factory.mktemp("medsyn-home")))
        yield


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may leave the machine; local sockets (the engine's, the display's) may."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family == getattr(socket, "AF_UNIX", None) or address[0] in ("127.0.0.1", "::1"):
            return connect(self, address)
        return refuse(address)

    def refuse(address: Any) -> NoReturn:
        raise RuntimeError(f"a test tried to reach {address}")

    monkeypatch.setattr(socket.socket, "connect", guarded)
