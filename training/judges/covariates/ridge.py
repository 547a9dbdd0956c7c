"""Ridge regression where there are many more features than people (dual form)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Ridge:
    """A fitted linear map: ``features @ weights + offset``.

    Parameters
    ----------
    weights : (features,) float64.
    offset : of the target.
    """

    weights: NDArray[np.float64]
    offset: float

    def of(self, features: Floats) -> NDArray[np.float64]:
        """(N,) predictions for (N, features)."""
        values: NDArray[np.float64] = features @ self.weights + self.offset
        return values


def fit(features: Floats, target: Floats, strength: float, floor: float) -> Ridge:
    """Ridge regression on features divided by their standard deviation plus `floor`.

    With n people the n x n Gram matrix is solved in place of the features' covariance
    (Hastie et al. 2009, The Elements of Statistical Learning, section 18.3.5).

    Parameters
    ----------
    features : (N, features).
    target : (N,).
    strength : ridge in units of the mean eigenvalue of the Gram matrix.
    floor : in the features' unit; keeps what hardly varies from being blown up.
    """
    mean, scale = features.mean(axis=0), features.std(axis=0) + floor
    scaled = (features - mean) / scale
    gram = (scaled @ scaled.T).astype(np.float64)
    ridge = strength * np.trace(gram) / len(gram)
    centre = float(target.mean())
    dual = np.linalg.solve(gram + ridge * np.eye(len(gram)), target - centre)
    weights = (scaled.T @ dual) / scale
    return Ridge(weights.astype(np.float64), centre - float(mean @ weights))


def folds(strata: Sequence[int], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Fold of each person, 0 to `count` - 1, such that the folds share every stratum evenly."""
    order = rng.permutation(len(strata))
    order = order[np.argsort(np.asarray(strata)[order], kind="stable")]
    fold = np.empty(len(strata), np.int64)
    fold[order] = np.arange(len(strata)) % count
    return fold


def predicted_by_others(
    features: Floats, target: Floats, fold: NDArray[np.int64], strength: float, floor: float
) -> NDArray[np.float64]:
    """(N,) each person's prediction by the fit to the people of the other folds."""
    out = np.empty(len(target))
    for k in np.unique(fold):
        held = fold == k
        out[held] = fit(features[~held], target[~held], strength, floor).of(features[held])
    return out


def log_odds_line(scores: Floats, is_one: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of logistic regression on one score (Platt 1999), by Newton steps.

    Parameters
    ----------
    scores : (N,) held-out predictions.
    is_one : (N,) what they were to predict.

    Notes
    -----
    Platt's targets, (n + 1) / (n + 2) and 1 / (n + 2), keep the slope finite even where
    the scores tell the two apart without an error.
    """
    ones, zeros = int(is_one.sum()), int((~is_one).sum())
    wanted = np.where(is_one, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    design = np.stack([scores - scores.mean(), np.ones(len(scores))], axis=1)
    line = np.zeros(2)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ line))
        weight = chance * (1 - chance)
        hessian = design.T @ (design * weight[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (wanted - chance))
        line += step
        if np.abs(step).max() < 1e-10:
            break
    return float(line[0]), float(line[1] - line[0] * scores.mean())
