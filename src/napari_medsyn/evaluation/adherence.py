"""Does a generator give what is asked of it: requested covariates against measured ones.

What is measured is what an independent judge reads off the image.  A judge errs on real people
too; read every figure beside the same one of real people (requested = what they are).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of requested and measured values of one covariate.

    Parameters
    ----------
    r : Pearson's; NaN where either does not vary.
    slope, intercept : of measured = intercept + slope x requested, least squares.
    mae : mean absolute difference, in the covariate's unit.
    n : people.
    """

    r: float
    slope: float
    intercept: float
    mae: float
    n: int


@dataclass(frozen=True, slots=True)
class Stratum:
    """People whose covariates are all in the same third.

    Parameters
    ----------
    thirds : 0, 1 or 2 of each covariate, in the order of the mapping.
    n : people in it.
    mse, mae : of measured against requested, in the covariate's unit.
    """

    thirds: tuple[int, ...]
    n: int
    mse: float
    mae: float


def agreement(requested: Values, measured: Values) -> Agreement:
    """How well the measured values are those requested.

    Parameters
    ----------
    requested, measured : (n,), pairs with a NaN are left out.

    Raises
    ------
    ValueError : they differ in length, or fewer than two pairs are left.
    """
    x, y = _pairs(requested, measured)
    if x.std() == 0 or y.std() == 0:
        slope, r = float("nan"), float("nan")
    else:
        slope = float(np.cov(x, y)[0, 1] / x.var(ddof=1))
        r = float(np.corrcoef(x, y)[0, 1])
    intercept = float(y.mean() - slope * x.mean())
    return Agreement(r, slope, intercept, float(np.abs(y - x).mean()), len(x))


def effects(
    requested: Mapping[str, Values], measured: Mapping[str, Values], scale: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """What asking for one covariate does to the measured others, all else requested alike.

    Coefficients of the linear regression of each measured covariate on all requested ones, in
    standard deviations of a population per standard deviation: 1 on the diagonal and 0 beside
    it are perfect control.

    Parameters
    ----------
    requested, measured : name to (n,); rows with a NaN are left out.
    scale : name to standard deviation in the population, for every name of either.

    Returns
    -------
    dict : requested name to measured name to coefficient.

    Raises
    ------
    ValueError : there are not more people than requested covariates, or a requested covariate
        follows from the others.
    """
    names = list(requested)
    x = np.stack([np.asarray(requested[n], np.float64) / scale[n] for n in names], axis=1)
    found: dict[str, dict[str, float]] = {n: {} for n in names}
    for name, values in measured.items():
        y = np.asarray(values, np.float64) / scale[name]
        known = np.isfinite(y) & np.isfinite(x).all(axis=1)
        design = np.column_stack([np.ones(int(known.sum())), x[known]])
        if len(design) <= design.shape[1] or np.linalg.matrix_rank(design) < design.shape[1]:
            raise ValueError(
                f"{len(design)} people do not tell the effects of {', '.join(names)} apart"
            )
        solved = np.linalg.lstsq(design, y[known], rcond=None)[0]
        for k, requested_name in enumerate(names, start=1):
            found[requested_name][name] = float(solved[k])
    return found


def strata(
    requested: Mapping[str, Values], measured: Values, of: str, least: int = 1
) -> tuple[list[Stratum], float, float]:
    """Error of one covariate in each combination of thirds of all, and its weighted mean.

    "Strata prediction score" of the multi-source StyleGAN's evaluation: every covariate is cut
    at its 1/3 and 2/3 quantiles; a weight is a stratum's share of the people.

    Parameters
    ----------
    requested : name to (n,) of the covariates that make the strata, `of` among them.
    measured : (n,) of the covariate `of`.
    least : strata with fewer people are left out.

    Returns
    -------
    table : strata that hold people, lowest thirds first.
    mse, mae : means over the people in them.
    """
    names = list(requested)
    thirds = np.stack([_thirds(requested[n]) for n in names], axis=1)
    error = np.asarray(measured, np.float64) - np.asarray(requested[of], np.float64)
    table = []
    for cell in product(range(3), repeat=len(names)):
        inside = (thirds == cell).all(axis=1) & np.isfinite(error)
        count = int(inside.sum())
        if count >= least:
            own = error[inside]
            table.append(Stratum(cell, count, float(np.mean(own**2)), float(np.mean(np.abs(own)))))
    if not table:
        raise ValueError(f"no stratum of {', '.join(names)} holds {least} people")
    weights = [s.n for s in table]
    mse = float(np.average([s.mse for s in table], weights=weights))
    return table, mse, float(np.average([s.mae for s in table], weights=weights))


def flip_share(asked_female: Values, asked_male: Values) -> float:
    """Share of people who are read as female where that was asked and as male where that was.

    Parameters
    ----------
    asked_female, asked_male : (n,) probabilities of being male, of the same people.
    """
    low, high = _pairs(asked_female, asked_male)
    return float(np.mean((low < 0.5) & (high >= 0.5)))


def _thirds(values: Values) -> NDArray[np.intp]:
    """(n,) 0, 1, 2; values equal to a cut, as of a binary covariate, are in the lower third."""
    known = np.asarray(values, np.float64)
    cuts = np.nanquantile(known, [1 / 3, 2 / 3])
    return np.searchsorted(cuts, known, side="left")


def _pairs(a: Values, b: Values) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"values of shape {x.shape} and {y.shape} are no pairs")
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 2:
        raise ValueError("fewer than two pairs of values are known")
    return x[known], y[known]
