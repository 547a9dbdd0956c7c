"""The label model of MSSG: how age, sex, volumes and cohort go together over two sources.

Lai et al., MIDL 2024 (PMLR v250): no source has recorded all covariates, so each gets a small
generative model of its own, and what one lacks comes from the other's conditional given what
both have recorded.  The networks are trained on labels completed in this way, and the same model
tells a user which combinations are usual.  NumPy and SciPy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from napari_medsyn.models.mssg import labels_json, labels_queries
from napari_medsyn.models.mssg.labels_joint import Joint
from napari_medsyn.models.mssg.labels_mixture import Array
from napari_medsyn.models.mssg.labels_source import (
    VOLUMES,
    AgeScale,
    Recorded,
    fit_source,
    recorded,
)
from napari_medsyn.models.mssg.labels_support import (
    LEAST_PERCENTILE,
    Judge,
    Quantiles,
    Support,
    measure,
)

__all__ = ["LabelModel", "Recorded", "Support"]

SEXES: Final = ("F", "M")


@dataclass(frozen=True, eq=False)
class LabelModel:
    """How the covariates go together.

    Every method takes `values`: covariate to its value in a user's terms (`age` in years, `sex`
    "F" or "M", volumes in ml, `cohort` the name of a source), None or absent where it is not
    known.  Other keys, such as other controls of a card, are not looked at.

    Parameters
    ----------
    joint : the fitted models of the two sources, composed.
    quantiles : of the density of the training people.
    """

    joint: Joint
    quantiles: Quantiles

    # ------------------------------------------------------------ making one

    @classmethod
    def fit(cls, sources: Sequence[Recorded], seed: int = 0) -> LabelModel:
        """Fit it on the training people of two sources.

        Parameters
        ----------
        sources : two; the first is -1 for the networks, the second +1.
        seed : for the starts of EM and for completing the people.

        Raises
        ------
        ValueError
            There are not two sources, both record a volume, nobody records age or sex, or
            there are too few people.
        """
        if len(sources) != 2 or sources[0].name == sources[1].name:
            raise ValueError("a label model is fitted on two sources of different names")
        for name in VOLUMES:
            if all(recorded(source.labels, name) is not None for source in sources):
                raise ValueError(f"{name} is recorded by both sources; only one may have it")
        ages = [a for s in sources if (a := recorded(s.labels, "age")) is not None]
        if not ages or all(recorded(s.labels, "sex") is None for s in sources):
            raise ValueError("one of the sources must have recorded age, and one sex")
        every = np.concatenate(ages)
        scale = AgeScale(float(np.nanmin(every)), float(np.nanmax(every)))
        rng = np.random.default_rng(seed)
        joint = Joint(tuple(fit_source(source, scale, rng) for source in sources), scale)
        people, cohorts = labels_queries.completed(joint, sources, rng)
        return cls(joint, measure(joint, people, cohorts))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LabelModel:
        """The model that `to_json` described.

        Raises
        ------
        UnusableModel
            `data` is not a label model; the sentence says where and why.
        """
        part = labels_json.read(data)
        scale = AgeScale(part.age.low, part.age.high)
        joint = Joint(tuple(source.build() for source in part.sources), scale)
        stored = Quantiles(tuple(part.support.levels), part.support.quantiles)
        return cls(joint, stored)

    def to_json(self) -> dict[str, Any]:
        """Numbers, names and lists; what `from_json` makes of it is the same model."""
        support = {
            "levels": list(self.quantiles.levels),
            "quantiles": {
                who: {names: list(values) for names, values in subsets.items()}
                for who, subsets in self.quantiles.values.items()
            },
        }
        return labels_json.dump(self.joint.sources, self.joint.scale, support)

    # ------------------------------------------------------------ names and codes

    @property
    def names(self) -> tuple[str, ...]:
        """The covariates, in the order of `encode`: age, sex, volumes, cohort."""
        return ("age", "sex", *(n for n in VOLUMES if n in self.joint.volumes), "cohort")

    @property
    def cohorts(self) -> tuple[str, ...]:
        """Names of the two sources."""
        return tuple(source.name for source in self.joint.sources)

    def encode(self, values: Mapping[str, Any], cohort: str | None = None) -> Array:
        """The covariates as the networks read them.

        Parameters
        ----------
        values : of one person.
        cohort : of that person; the one in `values` where not given.

        Returns
        -------
        (len(names),) float64, NaN where not known: age from -1 (the youngest trained on) to +1
        (the oldest); sex -1 F, +1 M; volumes in standard deviations from the training mean of
        their logarithm; cohort -1 the first source, +1 the second.

        Raises
        ------
        ValueError
            A value is not one of that covariate.
        """
        known, index = self._known(values, cohort)
        coded = {name: float(value[0]) for name, value in known.items()}
        if "age" in coded:
            coded["age"] = float(self.joint.scale.encode(coded["age"]))
        if index is not None:
            coded["cohort"] = 2.0 * index - 1
        return np.array([coded.get(name, np.nan) for name in self.names])

    def decode(self, vector: ArrayLike) -> dict[str, Any]:
        """The values of an encoded person; NaN gives None.

        Parameters
        ----------
        vector : (len(names),) as `encode` gives it; sex and cohort go to the nearer code.
        """
        coded = np.asarray(vector, np.float64)
        if coded.shape != (len(self.names),):
            raise ValueError(f"covariates of shape {coded.shape}, not ({len(self.names)},)")
        values: dict[str, Any] = {}
        for name, code in zip(self.names, coded, strict=True):
            if np.isnan(code):
                values[name] = None
            elif name == "age":
                values[name] = float(self.joint.scale.decode(code))
            elif name in ("sex", "cohort"):
                values[name] = (SEXES if name == "sex" else self.cohorts)[int(code > 0)]
            else:
                values[name] = float(self.joint.volumes[name].decode(code))
        return values

    # ------------------------------------------------------------ questions

    def complete(self, values: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """All covariates of a person: those known as they are, the others drawn given them.

        Volumes are drawn between the least and the most recorded.  Equal `rng`, equal person.

        Raises
        ------
        ValueError
            A value is not one of that covariate.
        """
        known, cohort = self._known(values)
        uniforms = rng.random(2 + len(self.joint.volumes))
        person, index = labels_queries.draw(self.joint, known, cohort, uniforms)
        drawn = {
            "age": float(person["age"][0]),
            "sex": SEXES[int(person["sex"][0] > 0)],
            "cohort": self.cohorts[index],
        }
        for name, volume in self.joint.volumes.items():
            drawn[name] = float(volume.decode(person[name][0]))
        stated = {name: values[name] for name in self.names if _is_known(values.get(name))}
        return {name: stated.get(name, drawn[name]) for name in self.names}

    def expected(self, values: Mapping[str, Any], name: str) -> float:
        """Conditional mean of covariate `name` given the other known ones.

        The value of `name` itself, if there is one, is not used.

        Returns
        -------
        Years; P(M); P(second cohort); or ml, where the mean is taken of the logarithm, as
        the networks read it (for one component near the median, and below the mean of the ml).
        """
        known, cohort = self._known_but(values, name)
        found = labels_queries.mean(self.joint, known, cohort, name)
        volume = self.joint.volumes.get(name)
        return found if volume is None else float(volume.decode(found))

    def interval(
        self, values: Mapping[str, Any], name: str, share: float = 0.9
    ) -> tuple[float, float]:
        """Central interval that holds `share` of the people like this: years or ml.

        Raises
        ------
        ValueError
            `name` is not the age or a volume, or `share` is not between 0 and 1.
        """
        if name not in self.names or name in ("sex", "cohort"):
            raise ValueError(f"{name!r} has no interval; age and volumes have")
        if not 0 < share < 1:
            raise ValueError(f"share {share:g} is not between 0 and 1")
        known, cohort = self._known_but(values, name)
        ends = np.array([(1 - share) / 2, (1 + share) / 2])
        found = labels_queries.quantiles(self.joint, known, cohort, name, ends)
        volume = self.joint.volumes.get(name)
        low, high = found if volume is None else volume.decode(found)
        return float(low), float(high)

    def log_density(self, values: Mapping[str, Any]) -> float:
        """Natural log of the density of what is known, given the cohort if that is known.

        Age per year, volumes per encoded unit, sex a probability; what is not known is
        integrated out.
        """
        known, cohort = self._known(values)
        return float(self.joint.nodes(known, cohort).log_density[0]) if known else 0.0

    def support(self, values: Mapping[str, Any]) -> Support:
        """How usual this combination is among the training people of its cohort.

        What no source holds together (lesions of a healthy person, say) is judged by the
        composed model.  Nothing known is inside.
        """
        known, cohort = self._known(values)
        if not known:
            return Support(True, 100.0)
        judge = Judge(self.joint, self.quantiles)
        percentile = float(judge.percentiles(known, cohort)[0])
        beyond = tuple(name for name, far in judge.beyond(known, cohort).items() if far[0])
        return Support(percentile >= LEAST_PERCENTILE, percentile, beyond)

    def nearest(self, values: Mapping[str, Any], name: str) -> Any:
        """The nearest supported value of covariate `name` when the others stay.

        Sought among whole years, and ml of two digits.

        Returns
        -------
        The value itself where it is supported; None where there is none, or it is not known.
        """
        if not _is_known(values.get(name)) or self.support(values).is_inside:
            return values.get(name)
        if name in ("sex", "cohort"):
            choices = SEXES if name == "sex" else self.cohorts
            others = [c for c in choices if self.support({**values, name: c}).is_inside]
            return others[0] if others else None
        known, cohort = self._known(values)
        judge, volume = Judge(self.joint, self.quantiles), self.joint.volumes.get(name)
        candidates = judge.candidates(name, cohort)
        coded = candidates if volume is None else volume.encode(candidates)
        people = {n: np.repeat(value, len(coded)) for n, value in known.items()} | {name: coded}
        inside = judge.percentiles(people, cohort) >= LEAST_PERCENTILE
        if not inside.any():
            return None
        return float(candidates[inside][np.abs(coded[inside] - known[name]).argmin()])

    # ------------------------------------------------------------ inside

    def _known(
        self, values: Mapping[str, Any], cohort: str | None = None
    ) -> tuple[dict[str, Array], int | None]:
        """What is known as `Joint.nodes` takes it, for one person, and the cohort's index."""
        known: dict[str, Array] = {}
        for name in self.names[:-1]:
            value = values.get(name)
            if not _is_known(value):
                continue
            if name == "sex":
                known[name] = np.array([2.0 * _index(name, value, SEXES) - 1])
            else:
                number = _number(name, value)
                volume = self.joint.volumes.get(name)
                known[name] = np.array([number if volume is None else volume.encode(number)])
        who = values.get("cohort") if cohort is None else cohort
        return known, None if who is None else _index("cohort", who, self.cohorts)

    def _known_but(
        self, values: Mapping[str, Any], name: str
    ) -> tuple[dict[str, Array], int | None]:
        if name not in self.names:
            raise ValueError(f"{name!r} is not one of {', '.join(self.names)}")
        return self._known({n: value for n, value in values.items() if n != name})


def _is_known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and np.isnan(value))


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} {value!r} is not a number") from None
    if not np.isfinite(number):
        raise ValueError(f"{name} {value!r} is not a finite number")
    return number


def _index(name: str, value: Any, choices: Sequence[str]) -> int:
    if value not in choices:
        raise ValueError(f"{name} {value!r} is not one of {', '.join(choices)}")
    return choices.index(value)
