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
#: Years: somebody a year older than the oldest is not yet beyond the ages seen.
_SAME_AGE: Final = 1.0
_CANDIDATES: Final = 200
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


@dataclass(frozen=True, eq=False, slots=True)
class Judge:
    """What is usual, and within the ranges recorded.

    Parameters
    ----------
    joint : the composed model.
    quantiles : of its training people.
    """

    joint: Joint
    quantiles: Quantiles

    def percentiles(self, known: Mapping[str, Array], cohort: int | None) -> Array:
        """(N,) percentiles of N people, 0 where one of their values is beyond its range.

        Parameters
        ----------
        known : as `Joint.nodes` takes it; not empty.
        cohort : index of their source, or None.
        """
        who = ANY if cohort is None else self.joint.sources[cohort].name
        held = dict(known)
        if "age" in known:
            held["age"] = np.clip(known["age"], *self.ages(cohort))
        density = self.joint.nodes(held, cohort).log_density
        found = self.quantiles.percentile(who, tuple(known), density)
        outside = np.any([np.zeros(len(found)), *self.beyond(known, cohort).values()], axis=0)
        return np.where(outside, 0.0, found)

    def beyond(self, known: Mapping[str, Array], cohort: int | None) -> dict[str, Array]:
        """Age and volumes, if known, to whether each of N values (1.0 or 0.0) is out of range."""
        found = {}
        for name, volume in self.joint.volumes.items():
            if name in known:
                low, high = volume.encode([volume.low, volume.high])
                found[name] = _out(known[name], low, high, 1e-3)
        if "age" in known:
            found["age"] = _out(known["age"], *self.ages(cohort), _SAME_AGE)
        return found

    def ages(self, cohort: int | None) -> tuple[float, float]:
        """Youngest and oldest of a cohort, or of all where it is None or has recorded no age."""
        own = None if cohort is None else self.joint.sources[cohort].age
        every = [source.age for source in self.joint.sources if source.age is not None]
        ages = every if own is None else [own]
        return min(age.low for age in ages), max(age.high for age in ages)

    def candidates(self, name: str, cohort: int | None) -> Array:
        """Values within the range that a user would type: whole years, ml of two digits."""
        if name == "age":
            low, high = self.ages(cohort)
            return np.arange(np.ceil(low), np.floor(high) + 1)
        volume = self.joint.volumes[name]
        spaced = np.geomspace(max(volume.low, 1e-2), volume.high, _CANDIDATES)
        rounded = np.unique([float(f"{ml:.2g}") for ml in spaced])
        return rounded[(rounded >= volume.low) & (rounded <= volume.high)]


def _out(values: Array, low: float, high: float, slack: float) -> Array:
    return ((values < low - slack) | (values > high + slack)).astype(np.float64)


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
