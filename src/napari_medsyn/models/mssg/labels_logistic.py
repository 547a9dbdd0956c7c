"""Sex given age in one source: a logistic regression (MSSG, label model; Lai et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

#: Precision of a normal prior on the slope (age in its range mapped to [-1, 1]).  It keeps the
#: slope finite where one age separates the sexes, which happens in a small source.
RIDGE = 0.25
_NEWTON_STEPS = 50


@dataclass(frozen=True, slots=True)
class Logistic:
    """P(M | age) = 1 / (1 + exp(-(intercept + slope * age))).

    Parameters
    ----------
    intercept, slope : log odds of M at age 0, and their change per unit of age (encoded).
    """

    intercept: float
    slope: float

    @classmethod
    def fit(cls, ages: ArrayLike, male: ArrayLike, ridge: float = RIDGE) -> Logistic:
        """Most probable coefficients, by Newton's method.

        Parameters
        ----------
        ages : (N,) encoded.
        male : (N,) 1 for M, 0 for F.
        ridge : precision of the normal priors, mean 0: on the slope, and a tenth of it on
            the intercept.

        Raises
        ------
        ValueError
            There is nobody.
        """
        x, y = np.asarray(ages, np.float64), np.asarray(male, np.float64)
        if not x.size:
            raise ValueError("sex given age cannot be fitted to nobody")
        design = np.stack([np.ones_like(x), x], axis=1)
        prior = np.diag([ridge / 10, ridge])
        w = np.zeros(2)
        for _ in range(_NEWTON_STEPS):
            p = expit(design @ w)
            gradient = design.T @ (y - p) - prior @ w
            curvature = (design.T * (p * (1 - p))) @ design + prior
            step = np.linalg.solve(curvature, gradient)
            # A full step may overshoot while p is still far from y; ten is beyond any odds.
            w = np.clip(w + step, -10, 10)
            if np.abs(step).max() < 1e-10:
                break
        return cls(float(w[0]), float(w[1]))

    def log_probability(self, ages: ArrayLike, sex: ArrayLike) -> NDArray[np.float64]:
        """Log probability of each sex at each age; shapes broadcast.

        Parameters
        ----------
        ages : encoded.
        sex : -1 for F, +1 for M.
        """
        odds = self.intercept + self.slope * np.asarray(ages, np.float64)
        value: NDArray[np.float64] = -np.logaddexp(0, -np.asarray(sex, np.float64) * odds)
        return value
