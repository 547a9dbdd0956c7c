"""How usual a combination of covariates is among the training people.

The measure is the density itself: a combination is as unusual as the share of the people whose
own values are less dense (highest density regions; Hyndman, The American Statistician 50, 1996).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from napari_medsyn.models.mssg.labels_joint import Joint
from napari_medsyn.models.mssg.labels_mixture import Array

#: Percentiles at which the density of the training people is stored.
LEVELS: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 100.0)
#: Combinations less dense than those of this percentage of the people are called unsupported.
LEAST_PERCENTILE: Final = 2.0
#: Key of the quantiles where the cohort is not known.
ANY: Final = "any"
#: Log density by which a person's own values may fall short of its stored one: float32 tables.
_SLACK = 1e-4


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a combination of covariates is one that the model has learnt from.

    Parameters
    ----------
    is_inside : its density is above the `LEAST_PERCENTILE` of the training people and no
        covariate lies beyond its range.
    percentile : 0 to 100, how many per cent of the training people are more unusual.
    beyond : names of the covariates beyond their range among the training people.
    """

    is_inside: bool
    percentile: float
    beyond: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Quantiles:
    """Quantiles of the log density of the training people.

    Parameters
    ----------
    levels : percentiles, rising from 0 to 100.
    values : name of a source or `ANY`, then `subset` of the known covariates, to the quantiles.
    """

    levels: tuple[float, ...]
    values: Mapping[str, Mapping[str, Sequence[float]]]

    def percentile(self, who: str, names: Sequence[str], log_density: Array) -> Array:
        """(N,) percentiles of log densities (N,) when the covariates `names` are known.

        Raises
        ------
        KeyError
            No such quantiles are stored.
        """
        levels = np.array(self.levels)
        quantiles = np.array(self.values[who][subset(names)])
        at = np.searchsorted(quantiles, log_density + _SLACK, side="right")
        low, high = np.clip(at - 1, 0, None), np.clip(at, None, len(levels) - 1)
        step = np.maximum(quantiles[high] - quantiles[low], 1e-12)
        share = np.clip((log_density + _SLACK - quantiles[low]) / step, 0, 1)
        found: Array = np.where(at == 0, 0, levels[low] + share * (levels[high] - levels[low]))
        # Below everybody: less than the percentile of the least dense, however many share it.
        return np.where(at == 0, 0.0, found)


def subset(names: Sequence[str]) -> str:
    """Key of a set of covariates, whatever their order."""
    return "+".join(sorted(names))


def measure(joint: Joint, people: Mapping[str, Array], cohorts: Array) -> Quantiles:
    """Quantiles for every set of covariates, with and without the cohort.

    Parameters
    ----------
    joint : the fitted model.
    people : covariate to (N,) values of the training people, completed, as `Joint.nodes` takes
        them.
    cohorts : (N,) index of each one's source.
    """
    values: dict[str, dict[str, list[float]]] = {}
    whose: list[tuple[str, int | None]] = [(s.name, i) for i, s in enumerate(joint.sources)]
    for who, cohort in [*whose, (ANY, None)]:
        rows = np.ones(len(cohorts), bool) if cohort is None else cohorts == cohort
        values[who] = {}
        for size in range(1, len(people) + 1):
            for names in combinations(people, size):
                known = {name: people[name][rows] for name in names}
                log_density = joint.nodes(known, cohort).log_density
                found = np.percentile(log_density, LEVELS)
                values[who][subset(names)] = [round(float(x), 4) for x in found]
    return Quantiles(LEVELS, values)
