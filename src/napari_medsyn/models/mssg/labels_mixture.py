"""Gaussian mixture of age and volumes given sex, and its conditionals (MSSG, label model).

The components of Lai et al., MIDL 2024, with two changes.  The conditional covariance is the
proper one, S_yy - S_yx S_xx^-1 S_xy (Bishop 2006, eq. 2.82), where their code leaves S_yy.  And
sex moves the mean of each component (the location model of Olkin and Tate, 1961), instead of
being one more normal coordinate: a coordinate of two values has no density.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

LOG_2PI = float(np.log(2 * np.pi))
#: A truncated normal keeps at least this share, so that nothing is divided by 0.
_LEAST_SHARE = 1e-12
#: Halvings of some twenty standard deviations: to 1e-8 of one.
_BISECTIONS = 32


def logsumexp(x: Array) -> Array:
    """Log-sum-exp over the last axis; SciPy's takes ten times as long for a few numbers."""
    top = x.max(-1)
    value: Array = top + np.log(np.exp(x - top[..., None]).sum(-1))
    return value


@dataclass(frozen=True, eq=False, slots=True)
class Mixture:
    """p(x | sex) = sum_k weights_k N(x; means_k + sex * shifts_k, covariances_k).

    Parameters
    ----------
    weights : (K,) positive, sum 1.
    means : (K, D) encoded units.
    shifts : (K, D) half of M minus F; 0 where sex does not matter.
    covariances : (K, D, D) positive definite.
    """

    weights: Array
    means: Array
    shifts: Array
    covariances: Array

    def __post_init__(self) -> None:
        K, D = self.means.shape
        if not (
            self.weights.shape == (K,)
            and self.shifts.shape == (K, D)
            and self.covariances.shape == (K, D, D)
        ):
            raise ValueError("weights, means, shifts and covariances differ in size")

    def log_joint(self, x: ArrayLike, sex: ArrayLike, keep: tuple[int, ...]) -> Array:
        """(..., K) log of weight times density of some coordinates.

        Parameters
        ----------
        x : (..., len(keep)).
        sex : (...) -1 for F, +1 for M, 0 where it is not recorded.
        keep : which coordinates x has; the others are integrated out.
        """
        points, signs = np.asarray(x, np.float64), np.asarray(sex, np.float64)
        log_weights = np.log(self.weights)
        if not keep:
            return np.broadcast_to(log_weights, (*signs.shape, len(log_weights)))
        chosen = list(keep)
        centres = self.means[:, chosen] + signs[..., None, None] * self.shifts[:, chosen]
        factors = np.linalg.cholesky(self.covariances[:, chosen][:, :, chosen])
        inverses = np.linalg.inv(factors)
        # z = L^-1 (x - mu): its squared length is Mahalanobis's.
        z = np.einsum("kij,...kj->...ki", inverses, points[..., None, :] - centres)
        log_volume = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1)
        value: Array = log_weights - log_volume - 0.5 * (len(keep) * LOG_2PI + np.square(z).sum(-1))
        return value

    def log_density(self, x: ArrayLike, sex: ArrayLike) -> Array:
        """(...) log density of x (..., D) given sex (...)."""
        value: Array = logsumexp(self.log_joint(x, sex, tuple(range(self.means.shape[1]))))
        return value

    def conditional(
        self, x: ArrayLike, sex: ArrayLike, keep: tuple[int, ...], target: int
    ) -> Conditional:
        """One coordinate given some others: again a mixture.

        Component k has the weight w_k N(x; mu_x,k, S_xx,k), normalised, the mean
        mu_y,k + S_yx S_xx^-1 (x - mu_x,k) and the variance S_yy - S_yx S_xx^-1 S_xy.

        Parameters
        ----------
        x : (..., len(keep)) the known coordinates.
        sex : (...) -1 for F, +1 for M, 0 where it is not recorded.
        keep : which coordinates they are; may be empty.
        target : the wanted one, not in `keep`.
        """
        points, signs = np.asarray(x, np.float64), np.asarray(sex, np.float64)
        log_joint = self.log_joint(points, signs, keep)
        log_weights = log_joint - logsumexp(log_joint)[..., None]
        centres = self.means + signs[..., None, None] * self.shifts
        mean, variance = centres[..., target], self.covariances[:, target, target]
        if keep:
            chosen = list(keep)
            S_xy = self.covariances[:, chosen, target]
            gain = np.linalg.solve(self.covariances[:, chosen][:, :, chosen], S_xy[..., None])
            gain = gain[..., 0]
            mean = mean + np.einsum(
                "...kj,kj->...k", points[..., None, :] - centres[..., chosen], gain
            )
            variance = variance - (gain * S_xy).sum(1)
        return Conditional(log_weights, mean, np.sqrt(variance))


@dataclass(frozen=True, eq=False, slots=True)
class Conditional:
    """A mixture of normals on a line, cut off at the two ends of what was recorded.

    Parameters
    ----------
    log_weights, means : (..., K).
    deviations : (K,) standard deviations, > 0.
    low, high : ends; those of the whole line where not given.
    """

    log_weights: Array
    means: Array
    deviations: Array
    low: float = -np.inf
    high: float = np.inf

    def within(self, low: float, high: float) -> Conditional:
        """The same, cut off at `low` and `high`."""
        return Conditional(self.log_weights, self.means, self.deviations, low, high)

    def _uncut(self, y: ArrayLike) -> Array:
        z = (np.asarray(y, np.float64)[..., None] - self.means) / self.deviations
        value: Array = (np.exp(self.log_weights) * ndtr(z)).sum(-1)
        return value

    @property
    def _shares(self) -> tuple[Array, Array]:
        """Mass below `low`, and between the ends."""
        below = self._uncut(np.array(self.low))
        return below, np.maximum(self._uncut(np.array(self.high)) - below, _LEAST_SHARE)

    def cdf(self, y: ArrayLike) -> Array:
        """(...) probability of at most y (...)."""
        below, kept = self._shares
        inside = np.clip(y, self.low, self.high)
        return np.clip((self._uncut(inside) - below) / kept, 0, 1)

    def log_density(self, y: ArrayLike) -> Array:
        """(...) log density at y (...).  Beyond the ends it goes on as if there were none: how
        unlikely a value is does not jump there, and who asks for support looks at the ends.
        """
        z = (np.asarray(y, np.float64)[..., None] - self.means) / self.deviations
        each = self.log_weights - np.log(self.deviations) - 0.5 * (LOG_2PI + z * z)
        value: Array = logsumexp(each) - np.log(self._shares[1])
        return value

    def mean(self) -> Array:
        """(...) mean of the mixture between its ends.

        A normal between a and b (standardised) has the mass D = Phi(b) - Phi(a) and the
        first moment mu D + sigma (phi(a) - phi(b)).
        """
        a, b = (self.low - self.means) / self.deviations, (self.high - self.means) / self.deviations
        mass = ndtr(b) - ndtr(a)
        moment = self.means * mass + self.deviations * (_phi(a) - _phi(b))
        weights = np.exp(self.log_weights)
        mean = (weights * moment).sum(-1) / np.maximum((weights * mass).sum(-1), _LEAST_SHARE)
        clipped: Array = np.clip(mean, self.low, self.high)
        return clipped

    def quantile(self, share: ArrayLike) -> Array:
        """(...) value below which `share` (...) of the probability lies."""
        below, kept = self._shares
        wanted = below + kept * np.asarray(share, np.float64)
        reach = 10 * float(self.deviations.max())
        low = np.maximum(self.means.min(-1) - reach, self.low)
        high = np.minimum(self.means.max(-1) + reach, self.high)
        low, high = np.minimum(low, high), np.maximum(low, high)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            under = self._uncut(middle) < wanted
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        found: Array = np.clip((low + high) / 2, self.low, self.high)
        return found


def _phi(z: Array) -> Array:
    value: Array = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    return value
