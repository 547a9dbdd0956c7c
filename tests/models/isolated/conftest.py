"""A user's folder of its own for every test here."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where consents are remembered."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MEDSYN_HOME", str(folder))
    return folder
