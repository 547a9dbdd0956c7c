"""Kinds of tissue from intensities and where a template expects them.

A mixture of Gaussians per kind of tissue, with a prior share of each kind at each voxel,
fitted by expectation maximisation; and the affine by which the priors fit the intensities
better still (both after Ashburner & Friston 2005, "Unified segmentation").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.scans.geometry import Affine

#: Kinds of tissue, and how many Gaussians the intensities of each have.
KINDS = {"wm": 1, "gm": 1, "csf": 1, "bone": 2, "soft": 3, "air": 1}
ITERATIONS = 25

#: How far an affine is expected to be off: its linear part, and mm.
USUAL_SCALE, USUAL_SHIFT = 0.06, 8.0
#: Weight of that expectation against the mean log likelihood of a sample.
EXPECTATION = 2e-3


#: Kind of each Gaussian.
_OF = np.repeat(np.arange(len(KINDS)), list(KINDS.values()))


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians in intensity, `KINDS[kind]` for each kind of tissue.

    Parameters
    ----------
    means : (G, M) of M channels.
    covariances : (G, M, M).
    weights : (G,), those of one kind sum to 1.
    """

    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def fit(
        cls, values: NDArray[np.float64], shares: NDArray[np.float64], check: Callable[[], None]
    ) -> Mixture:
        """Expectation maximisation.

        Parameters
        ----------
        values : (N, M) intensities.
        shares : (N, K) prior share of each kind.
        check : called at every iteration; raises to stop.
        """
        # Each kind begins where it is nearly sure, its Gaussians in order of brightness.
        responsible = shares[:, _OF] ** 2
        brightness = values.mean(axis=1)
        for kind, count in enumerate(KINDS.values()):
            sure = brightness[shares[:, kind] > 0.5]
            if count == 1 or not len(sure):
                continue
            limits = np.quantile(sure, np.arange(1, count) / count)
            part = np.searchsorted(limits, brightness)
            responsible[:, kind == _OF] *= part[:, None] == np.arange(count)
        mixture = cls._from(values, responsible)
        for _ in range(ITERATIONS):
            check()
            responsible = shares[:, _OF] * mixture.weights * mixture._densities(values)
            responsible /= responsible.sum(axis=1, keepdims=True) + 1e-30
            mixture = cls._from(values, responsible)
        return mixture

    @classmethod
    def _from(cls, values: NDArray[np.float64], responsible: NDArray[np.float64]) -> Mixture:
        total = responsible.sum(axis=0) + 1e-9
        means = responsible.T @ values / total[:, None]
        covariances = np.empty((len(total), values.shape[1], values.shape[1]))
        for one, mean in enumerate(means):
            apart = values - mean
            covariances[one] = (responsible[:, one, None] * apart).T @ apart / total[one]
        # Never narrower than 3 % of the brain's intensity: air that is exactly 0 is.
        covariances += np.eye(values.shape[1]) * 0.03**2
        return cls(means, covariances, total / np.bincount(_OF, total)[_OF])

    def likelihoods(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, K) densities of intensities (N, M), given each kind."""
        out = np.empty((len(values), len(KINDS)))
        first = np.searchsorted(_OF, np.arange(len(KINDS)))
        for start in range(0, len(values), 200_000):
            part = slice(start, start + 200_000)
            out[part] = np.add.reduceat(self._densities(values[part]) * self.weights, first, axis=1)
        # What fits nothing is left to the priors and the neighbours.
        return out + 1e-4

    def _densities(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.empty((len(values), len(self.means)))
        for one, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            apart = values - mean
            distance = (apart @ np.linalg.inv(covariance) * apart).sum(axis=1)
            out[:, one] = np.exp(-distance / 2) / np.sqrt(np.linalg.det(2 * np.pi * covariance))
        return out


def align_priors(
    points: NDArray[np.float64],
    likelihood: NDArray[np.float64],
    priors: NDArray[np.float32],
    check: Callable[[], None],
) -> Affine:
    """The affine that brings points to where the priors explain them best.

    Parameters
    ----------
    points : (N, 3) voxel indices of `priors`.
    likelihood : (N, K) densities of what was seen there, given each kind.
    priors : (K, X, Y, Z) shares of each kind.
    check : called at every step; raises to stop.

    Returns
    -------
    (4, 4) from voxel index to voxel index.
    """
    from scipy.optimize import minimize

    centre = np.array(priors.shape[1:]) / 2
    size = centre.mean()
    offsets = (points - centre) / size
    ones = np.concatenate([offsets, np.ones((len(points), 1))], axis=1)
    usual = np.full((3, 4), USUAL_SCALE * size)
    usual[:, 3] = USUAL_SHIFT
    slopes = np.stack([np.gradient(priors, axis=axis) for axis in (1, 2, 3)])
    # Voxels first: all that is read of one lies together.
    maps = np.concatenate([priors[None], slopes]).reshape(4 * len(priors), -1).T.copy()

    def cost(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        check()
        change = flat.reshape(3, 4)
        found = _interpolated(maps, points + ones @ (change * usual).T, priors.shape[1:])
        found = found.reshape(len(points), 4, -1)
        total = (found[:, 0] * likelihood).sum(axis=1)
        pull = np.einsum("nak,nk->an", found[:, 1:], likelihood) / total
        slope = -(pull @ ones) / len(points) * usual
        value = -np.log(total).mean() + EXPECTATION * (change**2).sum() / 2
        return float(value), (slope + EXPECTATION * change).ravel()

    best = minimize(cost, np.zeros(12), jac=True, method="L-BFGS-B", options={"maxiter": 60})
    change = best.x.reshape(3, 4) * usual
    matrix: Affine = np.eye(4)
    matrix[:3, :3] += change[:, :3] / size
    matrix[:3, 3] = change[:, 3] - change[:, :3] @ centre / size
    return matrix


def _interpolated(
    maps: NDArray[np.float32], points: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """(N, C): `maps` (voxels, C) at fractional indices, linear, edges extended."""
    inside = np.clip(points, 0, np.array(shape) - 1.001)
    low = inside.astype(int)
    share = inside - low
    out = np.zeros((len(points), maps.shape[1]))
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, share, 1 - share), axis=1)
        index = np.ravel_multi_index(tuple((low + corner).T), shape)
        out += weight[:, None] * maps[index]
    return out
