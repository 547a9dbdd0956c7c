"""How far a set of generated images is from a set of real ones, on features of both.

All of it is numpy: what the features are is said in `features`.  A Frechet distance of few
samples is biased upwards, the more the fewer they are; read it beside the distance between
halves of the real ones (`floor_of_halves`), and beside KID, which is unbiased.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]
Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its uncertainty.

    Parameters
    ----------
    value : the mean.
    error : standard error of the mean, or standard deviation over repetitions, as told by
        whoever made it.
    """

    value: float
    error: float


def frechet_distance(real: Features, generated: Features) -> float:
    """Squared Frechet distance of Gaussians fitted to both (FID; Heusel et al., NeurIPS 2017).

    |m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2) with unbiased covariances.

    Parameters
    ----------
    real, generated : (n, d), (m, d); at least two rows each.

    Raises
    ------
    ValueError : the widths differ, or there are too few rows.
    """
    a, b = _rows(real, generated)
    apart = float(np.sum((a.mean(0) - b.mean(0)) ** 2))
    first, second = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    root = _root(first)
    # The roots of the eigenvalues of a symmetric matrix: no complex rest, as `sqrtm` leaves.
    common = np.sqrt(np.clip(np.linalg.eigvalsh(root @ second @ root), 0, None)).sum()
    return float(max(apart + np.trace(first) + np.trace(second) - 2 * common, 0.0))


def kernel_distance(
    real: Features,
    generated: Features,
    *,
    blocks: int = 100,
    size: int = 1000,
    seed: int = 0,
) -> Estimate:
    """KID: unbiased squared MMD with the kernel (x.y / d + 1)^3 (Binkowski et al., ICLR 2018).

    The mean over `blocks` pairs of random subsets of `size` rows, drawn without replacement;
    the error is the standard deviation over the blocks, as the paper reports it.  Subsets are
    as large as the smaller set where that has fewer rows.  It can be negative.

    Raises
    ------
    ValueError : the widths differ, or there are too few rows.
    """
    a, b = _rows(real, generated)
    size = min(size, len(a), len(b))
    rng = np.random.default_rng(seed)
    values = [
        squared_mmd(
            a[rng.choice(len(a), size, replace=False)], b[rng.choice(len(b), size, replace=False)]
        )
        for _ in range(blocks)
    ]
    return Estimate(float(np.mean(values)), float(np.std(values)))


def squared_mmd(a: Features, b: Features) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, eq. 3)."""
    a, b = _rows(a, b)
    n, m = len(a), len(b)
    within_a = (_kernel(a, a).sum() - np.trace(_kernel(a, a))) / (n * (n - 1))
    within_b = (_kernel(b, b).sum() - np.trace(_kernel(b, b))) / (m * (m - 1))
    return float(within_a + within_b - 2 * _kernel(a, b).mean())


def inception_type_score(probabilities: Features, *, splits: int = 1) -> Estimate:
    """exp(mean KL(p(y|x) || p(y))) (Salimans et al., NeurIPS 2016), of any classifier.

    It says how sure and how varied the classes are, nothing of realism: 1 where all images are
    classified alike, at most the number of classes.

    Parameters
    ----------
    probabilities : (n, classes), rows that add up to 1, of a stated classifier.
    splits : parts, in the order given, whose scores are averaged.

    Raises
    ------
    ValueError : the rows are no distributions.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or (p < 0).any() or not np.allclose(p.sum(1), 1, atol=1e-4):
        raise ValueError("every row must be a distribution over the classes: at least 0, sum 1")
    scores = []
    for part in np.array_split(p, splits):
        marginal = part.mean(0, keepdims=True)
        ratio = np.divide(part, marginal, out=np.ones_like(part), where=part > 0)
        scores.append(np.exp(np.mean(np.sum(part * np.log(ratio), axis=1))))
    return Estimate(float(np.mean(scores)), float(np.std(scores)))


def floor_of_halves(
    features: Features,
    people: Sequence[int] | NDArray[np.integer],
    distance: Callable[[Features, Features], float],
    *,
    repeats: int = 20,
    seed: int = 0,
) -> Estimate:
    """Distance between random halves of the real people: what no generator can be blamed for.

    Parameters
    ----------
    features : (n, d) of one row a person, or of several.
    people : (n,) whose each row is; a person is in one half only.
    distance : of two sets of rows.

    Returns
    -------
    Estimate : mean and standard deviation over `repeats` divisions.
    """
    whose = np.asarray(people)
    names = np.unique(whose)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(repeats):
        chosen = np.isin(whose, rng.permutation(names)[: len(names) // 2])
        values.append(distance(features[chosen], features[~chosen]))
    return Estimate(float(np.mean(values)), float(np.std(values)))


def standardised(reference: Features, *others: Features) -> tuple[Rows, ...]:
    """Each set in standard deviations of `reference`, channel by channel, and `reference` first.

    Neither distance is invariant to a channel's unit; so that a loud channel does not decide.
    """
    mean, spread = reference.mean(0), reference.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    return tuple((np.asarray(f, np.float64) - mean) / spread for f in (reference, *others))


def _kernel(a: Rows, b: Rows) -> Rows:
    kernel: Rows = (a @ b.T / a.shape[1] + 1) ** 3
    return kernel


def _root(matrix: Rows) -> Rows:
    """The symmetric root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    root: Rows = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def _rows(real: Features, generated: Features) -> tuple[Rows, Rows]:
    a, b = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"features of shape {a.shape} and {b.shape} cannot be compared")
    if min(len(a), len(b)) < 2:
        raise ValueError("a distribution needs at least two samples")
    return a, b
