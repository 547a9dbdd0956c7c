"""What one source has recorded of its people, and how it goes together there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike

from napari_medsyn.models.mssg.labels_beta import Beta
from napari_medsyn.models.mssg.labels_em import choose
from napari_medsyn.models.mssg.labels_logistic import Logistic
from napari_medsyn.models.mssg.labels_mixture import Array, Conditional, Mixture

Transform = Literal["log", "log1p"]
TRANSFORMS: Final[tuple[Transform, ...]] = get_args(Transform)
#: Covariates that are volumes in ml, in the order the networks read them.  The smallest lesions
#: are near 0 ml, where a logarithm would make much of nothing.
VOLUMES: Final[dict[str, Transform]] = {"ventricles": "log", "lesions": "log1p"}


class Recorded(Protocol):
    """People of one source, as `training.mssg.sources.Source` has them."""

    @property
    def name(self) -> str:
        """Name of the source: the value of the covariate `cohort`."""

    @property
    def labels(self) -> Mapping[str, ArrayLike]:
        """Covariate to (N,) values, NaN for not recorded; sex 0 for F, 1 for M."""


@dataclass(frozen=True, slots=True)
class AgeScale:
    """Ages as the networks read them: `low` is -1, `high` +1 (years, over all sources)."""

    low: float
    high: float

    def encode(self, years: ArrayLike) -> Array:
        """Years to [-1, 1]; same shape."""
        return 2 * (np.asarray(years, np.float64) - self.low) / (self.high - self.low) - 1

    def decode(self, encoded: ArrayLike) -> Array:
        """Back to years; same shape."""
        return (np.asarray(encoded, np.float64) + 1) / 2 * (self.high - self.low) + self.low


@dataclass(frozen=True, slots=True)
class Volume:
    """How one volume is encoded: (log(ml) - centre) / scale, or with log(1 + ml).

    Parameters
    ----------
    name : of the covariate.
    transform : "log" or "log1p".
    centre, scale : mean and standard deviation of the logarithm over the training people.
    low, high : ml, least and most among them.
    """

    name: str
    transform: Transform
    centre: float
    scale: float
    low: float
    high: float

    @classmethod
    def fit(cls, name: str, ml: Array) -> Volume:
        """From the recorded volumes of the training people, (N,) ml."""
        transform = VOLUMES[name]
        if ml.min() < 0 or (transform == "log" and ml.min() <= 0):
            raise ValueError(f"{name} of {ml.min():g} ml has no logarithm")
        logs = np.log(ml) if transform == "log" else np.log1p(ml)
        if not logs.std() > 0:
            raise ValueError(f"{name} is the same for everybody: nothing can be learnt of it")
        return cls(
            name, transform, float(logs.mean()), float(logs.std()), float(ml.min()), float(ml.max())
        )

    def encode(self, ml: ArrayLike) -> Array:
        """Millilitres to standard deviations from the mean; same shape.

        0 ml of a plain logarithm counts as a thousandth of the least recorded.
        """
        values = np.asarray(ml, np.float64)
        if self.transform == "log":
            logs = np.log(np.maximum(values, self.low / 1000))
        else:
            logs = np.log1p(np.maximum(values, 0))
        return (logs - self.centre) / self.scale

    def decode(self, encoded: ArrayLike) -> Array:
        """Back to ml, >= 0; same shape."""
        logs = np.asarray(encoded, np.float64) * self.scale + self.centre
        return np.exp(logs) if self.transform == "log" else np.maximum(np.expm1(logs), 0)


@dataclass(frozen=True, eq=False, slots=True)
class SourceModel:
    """The generative model of what one source has recorded.

    Parameters
    ----------
    name : value of the covariate `cohort`.
    people : how many it was fitted on.
    age : years; None where it is not recorded.
    sex : given age; None where it is not recorded.
    volumes : that it has recorded.
    given_age : whether the mixture's first coordinate is the age (encoded); where False the
        volumes do not depend on it (not recorded, or BIC is lower without).
    mixture : over age, if `given_age`, and the volumes, given sex; None without volumes.
    """

    name: str
    people: int
    age: Beta | None
    sex: Logistic | None
    volumes: tuple[Volume, ...]
    given_age: bool
    mixture: Mixture | None

    def conditional(
        self, target: str, scale: AgeScale, years: Array, sex: Array, known: Mapping[str, Array]
    ) -> Conditional:
        """p(target | age, sex, other volumes of this source), between the recorded ends.

        Beyond the ages that the source has seen it stays what it is at the nearest one: the
        slope of a few people must not be drawn out over decades.

        Parameters
        ----------
        target : one of its volumes.
        scale : of the ages.
        years : (...) age.
        sex : (...) -1 for F, +1 for M.
        known : other volumes of this source, encoded, (...); may be empty.
        """
        if self.mixture is None:
            raise ValueError(f"{self.name} has recorded no volumes")
        names = [volume.name for volume in self.volumes]
        others = [name for name in names if name in known and name != target]
        first = int(self.given_age)
        keep = tuple([0] * first + [first + names.index(name) for name in others])
        if self.age is not None:
            years = np.clip(years, self.age.low, self.age.high)
        columns = [scale.encode(years)] * first + [known[name] for name in others]
        shape = np.broadcast_shapes(*(column.shape for column in columns), np.shape(sex))
        x = (
            np.stack([np.broadcast_to(c, shape) for c in columns], -1)
            if keep
            else np.empty((*shape, 0))
        )
        signs = np.broadcast_to(np.asarray(sex, np.float64), shape)
        volume = self.volumes[names.index(target)]
        line = self.mixture.conditional(x, signs, keep, first + names.index(target))
        return line.within(float(volume.encode(volume.low)), float(volume.encode(volume.high)))


def recorded(labels: Mapping[str, ArrayLike], name: str) -> Array | None:
    """(N,) values of a covariate, or None where the source has not recorded it at all."""
    if name not in labels:
        return None
    values = np.asarray(labels[name], np.float64)
    return values if np.isfinite(values).any() else None


def fit_source(source: Recorded, scale: AgeScale, rng: np.random.Generator) -> SourceModel:
    """Fit the model of one source; rows where a value is missing count where they have it.

    Parameters
    ----------
    source : its people.
    scale : of the ages, over all sources.
    rng : for the starts of EM.

    Raises
    ------
    ValueError
        There are too few people, or a volume has no logarithm.
    """
    ages, male = recorded(source.labels, "age"), recorded(source.labels, "sex")
    people = max(len(np.asarray(values)) for values in source.labels.values())
    columns = {n: c for n in VOLUMES if (c := recorded(source.labels, n)) is not None}
    volumes = tuple(Volume.fit(n, c[np.isfinite(c)]) for n, c in columns.items())
    age = None if ages is None else Beta.fit(ages[np.isfinite(ages)])
    sex = None
    if male is not None:
        clock = np.zeros(people) if ages is None else scale.encode(ages)
        whole = np.isfinite(clock) & np.isfinite(male)
        sex = Logistic.fit(clock[whole], male[whole])
    if not volumes:
        return SourceModel(source.name, people, age, sex, (), False, None)

    encoded = np.stack([v.encode(columns[v.name]) for v in volumes], 1)
    signs = np.zeros(people) if male is None else 2 * male - 1
    whole = np.isfinite(encoded).all(1) & np.isfinite(signs)
    if ages is None:
        mixture = choose(encoded[whole], signs[whole], rng).mixture
        return SourceModel(source.name, people, age, sex, volumes, False, mixture)
    clock = scale.encode(ages)[:, None]
    whole &= np.isfinite(clock[:, 0])
    rows, signs = encoded[whole], signs[whole]
    joint = choose(np.hstack([clock[whole], rows]), signs, rng)
    alone, without = choose(clock[whole], signs, rng), choose(rows, signs, rng)
    # Age and volumes apart are one model of the same rows: its BIC is the sum of the two.
    given_age = joint.bic <= alone.bic + without.bic
    mixture = joint.mixture if given_age else without.mixture
    return SourceModel(source.name, people, age, sex, volumes, given_age, mixture)
