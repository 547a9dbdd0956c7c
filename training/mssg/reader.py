"""A reader of age and sex for training: none of the judges' weights are in it.

T1 to soft shares of fluid, grey and white matter by intensity alone, smoothed and pooled to
6 mm, then ridge regression: voxel-based morphometry (Ashburner and Friston 2000) without a
network.  Differentiable, so that the generator can be asked for people who look their age.
The judges that the product is measured by use a tissue network and other weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

#: Middle and width of the soft borders fluid | grey and grey | white, normalised intensity.
BORDERS = ((0.50, 0.08), (0.86, 0.05))
#: Voxels of 2 mm along each side of a feature.
POOL = 3


def features(t1: Tensor) -> Tensor:
    """(N, features) of T1s (N, 1, X, Y, Z), normalised intensity, 2 mm."""
    brain = torch.sigmoid((t1 - 0.06) / 0.015)
    above = [torch.sigmoid((t1 - middle) / width) for middle, width in BORDERS]
    shares = torch.cat([brain - above[0], above[0] - above[1], above[1]], 1)
    smooth = F.avg_pool3d(shares, 3, stride=1, padding=1)
    return F.avg_pool3d(smooth, POOL, stride=POOL, ceil_mode=True).flatten(1)


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
