"""All sources together: cohort, then age, then sex, then each volume from whoever records it.

    p(cohort) p(age | cohort) p(sex | age, cohort) prod_v p(v | age, sex)

The volumes of a person who belongs to a source that does not record them come from the other
source's conditional given age and sex (Lai et al., MIDL 2024).  What is not known is summed out
exactly, over the cohorts, the cells of age (`labels_beta.CELLS`) and both sexes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_medsyn.models.mssg.labels_beta import Beta
from napari_medsyn.models.mssg.labels_logistic import Logistic
from napari_medsyn.models.mssg.labels_mixture import Array, Conditional, logsumexp
from napari_medsyn.models.mssg.labels_source import AgeScale, SourceModel, Volume

SIGNS = np.array([-1.0, 1.0])
"""F and M."""


@dataclass(frozen=True, eq=False, slots=True)
class Nodes:
    """Who the people may be: every cohort, age and sex that agrees with what is known.

    All arrays broadcast to (N, C, A, S): rows, cohorts, ages, sexes.

    Parameters
    ----------
    years : age, or the middle of a cell of ages.
    width : years, of the cell; 0 where the age is known.
    sex : -1 for F, +1 for M.
    log_weight : log probability of the node together with all that is known.
    cohorts : (C,) index of each cohort.
    """

    years: Array
    width: Array
    sex: Array
    log_weight: Array
    cohorts: tuple[int, ...]

    @property
    def log_density(self) -> Array:
        """(N,) log density of what is known."""
        return logsumexp(self.log_weight.reshape(len(self.log_weight), -1))

    @property
    def posterior(self) -> Array:
        """(N, C, A, S) probability of each node given what is known."""
        value: Array = np.exp(self.log_weight - self.log_density[:, None, None, None])
        return value


@dataclass(frozen=True, eq=False, slots=True)
class Joint:
    """The composed model, on encoded volumes.

    Parameters
    ----------
    sources : two; the index of each is its cohort.
    scale : of the ages.
    """

    sources: tuple[SourceModel, ...]
    scale: AgeScale

    @property
    def volumes(self) -> dict[str, Volume]:
        """Name to volume, in the order of the sources."""
        return {volume.name: volume for source in self.sources for volume in source.volumes}

    def nodes(self, known: Mapping[str, Array], cohort: int | None) -> Nodes:
        """The nodes of N people about whom the same things are known.

        Parameters
        ----------
        known : any of "age" (years), "sex" (-1, +1) and the volumes (encoded), each (N,).
        cohort : index of the source, the same for all; None where it is not known.
        """
        cohorts = tuple(range(len(self.sources))) if cohort is None else (cohort,)
        years, width, log_weight = self._ages(known.get("age"), cohorts)
        sex = known["sex"][:, None, None, None] if "sex" in known else SIGNS[None, None, None]
        if cohort is None:
            people = np.array([source.people for source in self.sources], np.float64)
            log_weight = log_weight + np.log(people / people.sum())[None, :, None, None]
        log_weight = log_weight + self._log_sex(years, sex, cohorts)
        before: dict[str, Array] = {}
        for name in self.volumes:
            if name in known:
                here = known[name][:, None, None, None]
                log_weight = log_weight + self.line(name, years, sex, before).log_density(here)
                before[name] = here
        shape = np.broadcast_shapes(years.shape, sex.shape, log_weight.shape)
        return Nodes(
            np.broadcast_to(years, shape),
            np.broadcast_to(width, shape),
            np.broadcast_to(sex, shape),
            np.broadcast_to(log_weight, shape),
            cohorts,
        )

    def line(
        self, target: str, years: Array, sex: Array, known: Mapping[str, Array]
    ) -> Conditional:
        """p(target | age, sex, other volumes of its source).

        Parameters
        ----------
        target : a volume.
        years, sex : (...) at nodes or for people.
        known : volumes, encoded, that broadcast to them; those of other sources, and the target
            itself, do not matter.
        """
        source = next(s for s in self.sources if target in [v.name for v in s.volumes])
        return source.conditional(target, self.scale, years, sex, known)

    def _ages(self, known: Array | None, cohorts: tuple[int, ...]) -> tuple[Array, Array, Array]:
        """Years, width and log weight, each (N or 1, C, A, 1)."""
        betas = [self._age(index) for index in cohorts]
        if known is not None:
            logs = [beta.log_density(known) for beta in betas]
            years = np.repeat(known[:, None, None, None], len(cohorts), axis=1)
            return years, np.zeros_like(years), np.stack(logs, 1)[..., None, None]
        edges = np.stack([beta.edges for beta in betas])[None, ..., None]
        masses = np.stack([beta.log_masses() for beta in betas])[None, ..., None]
        return (edges[:, :, 1:] + edges[:, :, :-1]) / 2, np.diff(edges, axis=2), masses

    def _log_sex(self, years: Array, sex: Array, cohorts: tuple[int, ...]) -> Array:
        parts = []
        for column, index in enumerate(cohorts):
            given, ages = self._sex(index)
            here = years[:, column : column + 1]
            if ages is not None:
                here = np.clip(here, ages.low, ages.high)
            parts.append(given.log_probability(self.scale.encode(here), sex))
        return np.concatenate(parts, axis=1)

    def _age(self, index: int) -> Beta:
        """Ages of a source; those of the other where it has recorded none."""
        every = [source.age for source in self.sources if source.age is not None]
        return self.sources[index].age or every[0]

    def _sex(self, index: int) -> tuple[Logistic, Beta | None]:
        """Sex given age, and the ages it was fitted on; those of the other where it has none."""
        every = [(source.sex, source.age) for source in self.sources if source.sex is not None]
        own = self.sources[index]
        return every[0] if own.sex is None else (own.sex, own.age)
