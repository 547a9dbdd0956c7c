"""Making packages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from tests._fakes import card_values

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.registry.building import build_package
from napari_medsyn.registry.packages import verify

WEIGHTS = save({"x": np.zeros(3, np.float32)})


def test_what_is_built_verifies(tmp_path: Path) -> None:
    card = build_package(tmp_path / "a", card_values(), {"weights.safetensors": WEIGHTS})

    assert verify(tmp_path / "a") == card
    assert card.weights.bytes == len(WEIGHTS)


def test_a_file_may_be_copied(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(WEIGHTS)

    card = build_package(tmp_path / "a", card_values(), {"weights.safetensors": tmp_path / "w"})

    assert verify(tmp_path / "a") == card


def test_nothing_is_left_of_a_package_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match="outputs"):
        build_package(
            tmp_path / "a",
            {**card_values(), "outputs": []},
            {"weights.safetensors": WEIGHTS},
        )

    assert list(tmp_path.iterdir()) == []


def test_a_name_cannot_lead_out(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="leads out"):
        build_package(tmp_path / "b" / "a", card_values(), {"../../../x": b"x"})

    assert not list(tmp_path.rglob("x"))


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("mine")

    with pytest.raises(UnusableFile, match="not empty"):
        build_package(tmp_path / "a", card_values(), {"weights.safetensors": WEIGHTS})

    assert (tmp_path / "a" / "mine.txt").read_text() == "mine"
