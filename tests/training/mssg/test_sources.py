"""Sources keep what they record apart from what is true; the cache gives back what was made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training.mssg import sources
from training.mssg.sources import _made, _Person, halved, load_sources

from napari_medsyn.models.mssg.lattice import SHAPE


def person(name: str, lesions: float, rng: np.random.Generator) -> _Person:
    t1 = rng.random(SHAPE, np.float32)
    values = {"age": 40.0, "sex": 1.0, "ventricles": 20.0, "lesions": lesions}
    return _Person(name, t1, t1 > 0.2, values, "ixi-1", lesions == 0, t1 > 0.99)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two sources of two people each, in the place of the data; says which were made."""
    calls: list[str] = []

    def source(name: str):
        def make(_data: Path, part: str) -> sources.Source:
            calls.append(f"{name} {part}")
            rng = np.random.default_rng(len(part))
            folk = [person(f"{part}-{i}", 3.0 * (name == "ms"), rng) for i in range(2)]
            return _made(name, folk)  # type: ignore[arg-type]

        return make

    monkeypatch.setattr(sources, "_healthy_source", source("ixi"))
    monkeypatch.setattr(sources, "_patient_source", source("ms"))
    return calls


def test_what_is_not_recorded_is_hidden_and_what_is_true_is_kept(
    tmp_path: Path, made: list[str]
) -> None:
    ixi, ms = load_sources(tmp_path, tmp_path / "cache")
    assert np.isnan(ixi.labels["lesions"]).all()
    assert (ixi.truth["lesions"] == 0).all()
    assert np.isnan(ms.labels["ventricles"]).all()
    assert (ms.truth["ventricles"] == 20).all()
    assert (ms.labels["lesions"] == 3).all()


def test_the_cache_gives_the_same_and_parts_are_put_together(
    tmp_path: Path, made: list[str]
) -> None:
    first = load_sources(tmp_path, tmp_path / "cache", ("validation", "test"))
    second = load_sources(tmp_path, tmp_path / "cache", ("validation", "test"))
    assert made == ["ixi validation", "ms validation", "ixi test", "ms test"]
    for a, b in zip(first, second, strict=True):
        assert a.ids == b.ids == ("validation-0", "validation-1", "test-0", "test-1")
        for name in ("t1", "brain", "lesions", "real"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name
    expected = np.random.default_rng(len("validation")).random(SHAPE, np.float32)
    assert np.abs(first[0].images()[0] - expected).max() <= 0.5 / 160 + 1e-6
    assert not list((tmp_path / "cache").glob("*.part*"))


def test_another_recipe_is_another_file(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_sources(tmp_path, tmp_path / "cache")
    monkeypatch.setattr(sources, "NEAR", 3.0)
    load_sources(tmp_path, tmp_path / "cache")
    assert len(made) == 4


def test_two_millimetres_are_means_of_the_voxels_in_them() -> None:
    volume = np.zeros((160, 192, 160), np.float32)
    volume[9:11, 19:21, 12:14] = 8.0  # the voxels of (5, 10, 5)
    volume[9, 19, 12] = 0.0
    small = halved(volume)
    assert small.shape == SHAPE
    assert small[5, 10, 5] == 7.0
    assert small.sum() == 7.0
