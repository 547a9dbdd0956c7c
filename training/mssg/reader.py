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

#: Intensity below which it is fluid, and the width of that border.
DARK = (0.58, 0.05)
#: Voxels of 2 mm along each side of a feature.
POOL = 3


def features(t1: Tensor) -> Tensor:
    """(N, features) of T1s (N, 1, X, Y, Z), normalised intensity, 2 mm."""
    return reading.features(t1, POOL)


def fluid_ml(t1: Tensor, region: Tensor) -> Tensor:
    """(N,) volume of what is as dark as fluid in a region, ml.

    Parameters
    ----------
    t1 : (N, 1, X, Y, Z) normalised intensity, 2 mm.
    region : (N, 1, X, Y, Z) 0 to 1: the ventricles and a little around them.
    """
    share = torch.sigmoid((DARK[0] - t1) / DARK[1]) * region
    return share.flatten(1).sum(1) * 0.008


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
    rows: NDArray[np.float32],
    targets: NDArray[np.float32],
    ridge: float,
    folds: int = 10,
    people: NDArray[np.int_] | None = None,
) -> NDArray[np.float32]:
    """(N, targets) what a reader says of people whom it was not fitted to.

    Parameters
    ----------
    people : (N,) whose each row is, where somebody has several.
    """
    said = np.zeros_like(targets)
    whose = np.arange(len(rows)) if people is None else people
    order = np.random.default_rng(0).permutation(np.unique(whose))
    for fold in range(folds):
        out = np.flatnonzero(np.isin(whose, order[fold::folds]))
        kept = np.setdiff1d(np.arange(len(rows)), out)
        said[out] = fit(rows[kept], targets[kept], ridge)(torch.from_numpy(rows[out])).numpy()
    return said
