"""Made people: brains whose ventricles grow with age and whose cortex tells their sex."""

from __future__ import annotations

import numpy as np
from training.data import splits
from training.data.healthy import Healthy

SHAPE = (12, 16, 12)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
#: DLMUSE labels used: white matter, cortex, lateral ventricle.
WHITE, CORTEX, VENTRICLE = 81, 100, 51


class NoBias:
    """The fields of people who have none."""

    def field(self, *_: object) -> np.float32:
        return np.float32(1)


def made_people(names: tuple[str, ...] | None = None, seed: int = 0) -> Healthy:
    """People of the committed splits with made brains: label decides intensity."""
    names = names or splits.people("ixi")
    rng = np.random.default_rng(seed)
    age = rng.uniform(20, 80, len(names)).astype(np.float32)
    sex = rng.choice(["F", "M"], len(names))
    labels = np.zeros((len(names), *SHAPE), np.uint8)
    labels[:, 1:11, 1:15, 1:11] = CORTEX
    labels[:, 2:10, 2:14, 2:10] = WHITE
    for i, years in enumerate(age):
        length = 1 + round(years / 10)
        labels[i, 5:7, 3 : 3 + length, 5:7] = VENTRICLE
        if sex[i] == "M":
            labels[i, 2:10, 12:14, 2:4] = CORTEX
    brain = labels > 0
    t1 = np.select(
        [labels == VENTRICLE, labels == CORTEX, labels == WHITE], [60, 120, 220], 0
    ).astype(np.uint8)
    return Healthy(tuple(names), age, sex, t1, labels, brain, AFFINE, NoBias())  # type: ignore[arg-type]
