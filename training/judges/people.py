"""Whom the judges may learn from, and whom they are tested on."""

from __future__ import annotations

from pathlib import Path

from training.data.healthy import Healthy, load_healthy
from training.data.splits import people, role_of


def judges_people() -> tuple[str, ...]:
    """Healthy people of the train and validation parts who are nobody's predictor."""
    return tuple(p for p in people("ixi", "train", "validation") if role_of(p) != "predictor")


def test_people() -> tuple[str, ...]:
    """Healthy people of the test part."""
    return people("ixi", "test")


def load(data: Path, names: tuple[str, ...] | None = None, cache: Path | None = None) -> Healthy:
    """The scans of some of the healthy people; of all 157 if no names are given."""
    return load_healthy(data, people=names, cache=cache)
