"""A reader of age and sex for training: none of the judges' weights are in it.

Ridge regression on `models.mssg.reading.features`, pooled to 6 mm.  Differentiable, so that
the generator can be asked for people who look their age.
The judges that the product is measured by use a tissue network and other weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_medsyn.models.mssg import reading

#: Voxels of 2 mm along each side of a feature.
POOL = 3


def features(t1: Tensor) -> Tensor:
    """(N, features) of T1s (N, 1, X, Y, Z), normalised intensity, 2 mm."""
    return reading.features(t1, POOL)


@dataclass(frozen=True, eq=False)
class Reader:
    """Linear in `features`.

    Parameters
    ----------
    mean : (features,).
    maps : (targets, features).
    offset : (targets,).
    """

    mean: Tensor
    maps: Tensor
    offset: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """(N, targets) of features (N, features)."""
        return (rows - self.mean) @ self.maps.T + self.offset


def fit(rows: NDArray[np.float32], targets: NDArray[np.float32], ridge: float) -> Reader:
    """Ridge regression in its dual form: fewer people than features.

    Parameters
    ----------
    rows : (N, features).
    targets : (N, targets).
    ridge : of the mean eigenvalue of the kernel.
    """
    mean, offset = rows.mean(0), targets.mean(0)
    centred = (rows - mean).astype(np.float64)
    kernel = centred @ centred.T
    penalty = ridge * np.trace(kernel) / len(rows) * np.eye(len(rows))
    dual = np.linalg.solve(kernel + penalty, targets - offset)
    maps = (dual.T @ centred).astype(np.float32)
    return Reader(*(torch.from_numpy(a.astype(np.float32)) for a in (mean, maps, offset)))


def cross_validated(
    rows: NDArray[np.float32], targets: NDArray[np.float32], ridge: float, folds: int = 10
) -> NDArray[np.float32]:
    """(N, targets) what a reader says of people whom it was not fitted to."""
    order = np.random.default_rng(0).permutation(len(rows))
    said = np.zeros_like(targets)
    for fold in range(folds):
        out = order[fold::folds]
        kept = np.setdiff1d(order, out)
        said[out] = fit(rows[kept], targets[kept], ridge)(torch.from_numpy(rows[out])).numpy()
    return said
