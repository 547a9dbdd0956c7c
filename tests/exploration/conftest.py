from __future__ import annotations

import pytest
from tests import _fakes

from napari_medsyn.registry.card import ModelCard, read_card
from napari_medsyn.scans.study import Study


@pytest.fixture
def package(tmp_path):
    return _fakes.make_package(tmp_path / "models" / "fake")


@pytest.fixture
def card(package) -> ModelCard:
    return read_card(package)


@pytest.fixture
def study() -> Study:
    """T1 and T2; FLAIR is missing."""
    return Study((_fakes.make_scan("T1"), _fakes.make_scan("T2")))


@pytest.fixture
def fake_preparation(monkeypatch) -> list[Study]:
    """Put the identity in the place of the preparation; gives the studies it was asked for."""
    asked: list[Study] = []

    def prepare(study, target, options, progress=None, should_stop=None):
        asked.append(study)
        return _fakes.prepare(study, target, options, progress, should_stop)

    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", prepare)
    return asked
