"""Ages of one source: a Beta distribution between the youngest and the oldest (MSSG, label model).

Lai et al., MIDL 2024 (PMLR v250), fit it by moments before the images are trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

#: Ages are integrated over this many equal cells between `low` and `high`.
CELLS = 100
#: Log density of an age out of range: so small that any age within range outweighs it, but
#: finite, so that two sources which both have not seen an age can still be compared.
OUT_OF_RANGE = -50.0


@dataclass(frozen=True, slots=True)
class Beta:
    """Beta distribution of the age on [low, high].

    Parameters
    ----------
    low, high : years; low < high.
    alpha, beta : shape, > 0.
    """

    low: float
    high: float
    alpha: float
    beta: float

    @classmethod
    def fit(cls, ages: ArrayLike) -> Beta:
        """By moments: with mean m and variance v of the ages brought to [0, 1],
        alpha = m c and beta = (1 - m) c, where c = m (1 - m) / v - 1.

        Parameters
        ----------
        ages : (N,) years.

        Raises
        ------
        ValueError
            Fewer than three different ages: no spread within the range.
        """
        years = np.asarray(ages, np.float64)
        if np.unique(years).size < 3:
            raise ValueError("an age distribution needs people of at least three different ages")
        low, high = float(years.min()), float(years.max())
        share = (years - low) / (high - low)
        m, v = float(share.mean()), float(share.var())
        concentration = m * (1 - m) / v - 1
        return cls(low, high, m * concentration, (1 - m) * concentration)

    @property
    def edges(self) -> NDArray[np.float64]:
        """(CELLS + 1,) borders of the cells, years."""
        return np.linspace(self.low, self.high, CELLS + 1)

    def cdf(self, ages: ArrayLike) -> NDArray[np.float64]:
        """Share of people up to each age; same shape as `ages`, years."""
        share = (np.asarray(ages, np.float64) - self.low) / (self.high - self.low)
        value: NDArray[np.float64] = betainc(self.alpha, self.beta, np.clip(share, 0, 1))
        return value

    def log_masses(self) -> NDArray[np.float64]:
        """(CELLS,) log of the share of people in each cell."""
        return np.log(np.maximum(np.diff(self.cdf(self.edges)), 1e-300))

    def log_density(self, ages: ArrayLike) -> NDArray[np.float64]:
        """Log density per year, averaged over one cell around each age.

        Averaged, because the density itself is 0 or infinite at both ends.  `OUT_OF_RANGE`
        beyond them.
        """
        years = np.asarray(ages, np.float64)
        half = (self.high - self.low) / CELLS / 2
        first, last = np.maximum(years - half, self.low), np.minimum(years + half, self.high)
        mass = self.cdf(last) - self.cdf(first)
        inside = (years >= self.low) & (years <= self.high)
        mean = np.maximum(mass, 1e-300) / np.where(inside, last - first, 1.0)
        return np.where(inside, np.log(mean), OUT_OF_RANGE)
