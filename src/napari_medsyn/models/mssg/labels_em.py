"""Fit the mixture of the label model: EM, number of components by BIC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_medsyn.models.mssg.labels_mixture import Array, Mixture, logsumexp

#: Most components that are tried (Lai et al., 2024, take 8 to 13 for thousands of people), and
#: fewest people for each: a component of less describes nobody else.
MOST, PEOPLE_EACH = 10, 8
#: No direction of a component is narrower than a tenth of a standard deviation of the data:
#: without it a component shrinks onto one person and its likelihood grows without bound.
LEAST_VARIANCE = 0.01
#: The search ends when so many more components have not lowered BIC.
_PATIENCE = 2
_STARTS, _STEPS, _TOLERANCE = 6, 300, 1e-6


@dataclass(frozen=True, eq=False, slots=True)
class Fitted:
    """A mixture, the log likelihood of its training rows, and what BIC makes of it.

    Parameters
    ----------
    mixture : at the best of several starts.
    log_likelihood : natural log, summed over the rows.
    bic : -2 log likelihood + parameters * log(rows) (Schwarz, 1978); lower is better.
    """

    mixture: Mixture
    log_likelihood: float
    bic: float


def choose(rows: Array, sex: Array, rng: np.random.Generator) -> Fitted:
    """The mixture with the lowest BIC: any number of components, with sex or without.

    Parameters
    ----------
    rows : (N, D) encoded.
    sex : (N,) -1 for F, +1 for M; all 0 where it is not recorded.
    rng : for the starts.

    Raises
    ------
    ValueError
        Fewer than `PEOPLE_EACH` people.
    """
    most = min(MOST, len(rows) // PEOPLE_EACH)
    if not most:
        raise ValueError(f"a mixture needs at least {PEOPLE_EACH} people, here are {len(rows)}")
    shifts = (False, True) if len(np.unique(sex)) == 2 else (False,)
    found: list[Fitted] = []
    for components in range(1, most + 1):
        fits = [fit(rows, sex, components, with_sex, rng) for with_sex in shifts]
        found += [fitted for fitted in fits if fitted is not None]
        best = min(found, key=lambda fitted: fitted.bic)
        if components - len(best.mixture.weights) == _PATIENCE:
            break
    return best


def fit(
    rows: Array, sex: Array, components: int, with_sex: bool, rng: np.random.Generator
) -> Fitted | None:
    """Best of several runs of EM; None where each loses a component.

    Parameters
    ----------
    rows : (N, D) encoded.
    sex : (N,) -1, +1, or all 0.
    components : K.
    with_sex : whether sex may move the means.
    rng : for the starts.
    """
    N, D = rows.shape
    design = np.stack([np.ones(N), sex], axis=1) if with_sex else np.ones((N, 1))
    best: tuple[float, Mixture] | None = None
    for _ in range(_STARTS if components > 1 else 1):
        run = _expect_and_maximise(rows, sex, design, _start(rows, components, rng))
        if run is not None and (best is None or run[0] > best[0]):
            best = run
    if best is None:
        return None
    parameters = components * (D * design.shape[1] + D * (D + 1) // 2) + components - 1
    return Fitted(best[1], best[0], -2 * best[0] + parameters * float(np.log(N)))


def _start(rows: Array, components: int, rng: np.random.Generator) -> Array:
    """(N, K) each row to the nearest of K rows that lie apart (k-means++, Arthur 2007)."""
    scaled = rows / rows.std(0)
    centres = [scaled[rng.integers(len(rows))]]
    for _ in range(1, components):
        gap = np.min([np.square(scaled - centre).sum(1) for centre in centres], axis=0)
        share = gap / gap.sum() if gap.sum() > 0 else None
        centres.append(scaled[rng.choice(len(rows), p=share)])
    gaps = np.square(scaled[:, None] - np.array(centres)).sum(-1)
    hard: Array = np.eye(components)[gaps.argmin(1)]
    return hard


def _expect_and_maximise(
    rows: Array, sex: Array, design: Array, responsibilities: Array
) -> tuple[float, Mixture] | None:
    every, before, step = tuple(range(rows.shape[1])), -np.inf, 0
    while True:
        mixture = _maximise(rows, design, responsibilities)
        if mixture is None:
            return None
        log_joint = mixture.log_joint(rows, sex, every)
        log_density = logsumexp(log_joint)
        now, step = float(log_density.sum()), step + 1
        if now - before < _TOLERANCE * len(rows) or step == _STEPS:
            return now, mixture
        responsibilities, before = np.exp(log_joint - log_density[:, None]), now


def _maximise(rows: Array, design: Array, responsibilities: Array) -> Mixture | None:
    """Weighted least squares on the design (1, sex) for each component; None if one is empty."""
    N, D = rows.shape
    shares = responsibilities.sum(0)
    if shares.min() < D + 1:
        return None
    # Where all people of a component are of one sex, the shift stays 0.
    prior = np.diag([0.0, 1e-3][: design.shape[1]])
    weighted = design.T * responsibilities.T[:, None]
    solved = np.linalg.solve(weighted @ design + prior, weighted @ rows)
    coefficients = np.asarray(solved, np.float64)
    left = rows - design @ coefficients
    scatter = (np.swapaxes(left, 1, 2) * responsibilities.T[:, None]) @ left
    covariances = _floored(scatter / shares[:, None, None], rows.std(0))
    means = coefficients[:, 0]
    shifts = coefficients[:, 1] if design.shape[1] == 2 else 0 * means
    return Mixture(shares / N, means, shifts, covariances)


def _floored(covariances: Array, spread: Array) -> Array:
    """(K, D, D) with no direction narrower than `LEAST_VARIANCE` of the data's variance."""
    scale = np.outer(spread, spread)
    values, vectors = np.linalg.eigh(covariances / scale)
    kept = (vectors * np.maximum(values, LEAST_VARIANCE)[:, None]) @ np.swapaxes(vectors, 1, 2)
    symmetric: Array = (kept + np.swapaxes(kept, 1, 2)) / 2 * scale
    return symmetric
