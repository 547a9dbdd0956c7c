"""Two small sources, and a label model that fills in what it is told to."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.models.mssg.lattice import SHAPE

NAN = float("nan")


class PlainLabels:
    """Encodes by a hundredth of the value; draws volumes between 10 and 20 ml."""

    def encode(self, values: Mapping[str, Any], cohort: str) -> NDArray[np.floating]:
        sex = {"F": -1.0, "M": 1.0}[values["sex"]]
        numbers = [values[name] / 100 for name in ("age", "ventricles", "lesions")]
        return np.array([numbers[0], sex, *numbers[1:], {"ixi": -1.0, "ms": 1.0}[cohort]])

    def complete(self, values: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        drawn = {"age": 50.0, "sex": "F"} | {
            name: float(rng.uniform(10, 20)) for name in ("ventricles", "lesions")
        }
        return {name: drawn.get(name) if value is None else value for name, value in values.items()}


def source(name: str, people: int) -> Any:
    """A block as everybody's brain; volumes as the source records them."""
    t1 = np.zeros((people, *SHAPE), np.uint8)
    t1[:, 20:60, 20:80, 10:70] = 120
    hidden = np.full(people, NAN, np.float32)
    volume = np.arange(people, dtype=np.float32) * 10 + 5
    labels = {
        "age": np.linspace(20, 60, people, dtype=np.float32),
        "sex": (np.arange(people) % 2).astype(np.float32),
        "ventricles": volume if name == "ixi" else hidden,
        "lesions": volume if name == "ms" else hidden,
    }
    ids = tuple(f"{name}-{n}" for n in range(people))
    # Everybody of the second source was painted into somebody of the first.
    anatomy = tuple(f"ixi-{n}" for n in range(people))
    return SimpleNamespace(name=name, ids=ids, t1=t1, labels=labels, anatomy=anatomy)
