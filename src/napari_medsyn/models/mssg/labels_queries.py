"""What the composed label model says of one person: draws, means and intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from napari_medsyn.models.mssg.labels_joint import Joint
from napari_medsyn.models.mssg.labels_mixture import Array
from napari_medsyn.models.mssg.labels_source import VOLUMES, Recorded, recorded

#: Each training person is completed so often when the density of the people is measured.
COMPLETIONS: Final = 8
_BISECTIONS: Final = 50


def draw(
    joint: Joint, known: Mapping[str, Array], cohort: int | None, uniforms: Array
) -> tuple[dict[str, Array], int]:
    """A person who agrees with what is known: every covariate, and the cohort's index.

    The same uniforms give neighbouring people for neighbouring conditions (each number is
    put through the inverse of a distribution function).

    Parameters
    ----------
    joint : the model.
    known : as `Joint.nodes` takes it, for one person: each (1,).
    cohort : index, or None.
    uniforms : (2 + number of volumes,) in [0, 1).
    """
    nodes = joint.nodes(known, cohort)
    rising = np.cumsum(nodes.posterior.ravel())
    flat = min(
        int(np.searchsorted(rising, uniforms[0] * rising[-1], side="right")), rising.size - 1
    )
    at = np.unravel_index(flat, nodes.posterior.shape)
    age = nodes.years[at] + (uniforms[1] - 0.5) * nodes.width[at]
    person = {"age": np.array([age]), "sex": np.array([nodes.sex[at]])}
    person |= {name: known[name] for name in joint.volumes if name in known}
    for name, uniform in zip(joint.volumes, uniforms[2:], strict=True):
        if name not in person:
            line = joint.line(name, person["age"], person["sex"], person)
            person[name] = line.quantile(np.array([uniform]))
    return person, nodes.cohorts[int(at[1])]


def completed(
    joint: Joint, sources: Sequence[Recorded], rng: np.random.Generator
) -> tuple[dict[str, Array], Array]:
    """Every training person several times, each time completed anew, and their cohorts."""
    people: list[dict[str, Array]] = []
    cohorts: list[int] = []
    for cohort, source in enumerate(sources):
        columns = {
            n: c for n in ("age", "sex", *VOLUMES) if (c := recorded(source.labels, n)) is not None
        }
        for row in range(len(next(iter(columns.values())))):
            known = {n: c[row : row + 1] for n, c in columns.items() if np.isfinite(c[row])}
            if "sex" in known:
                known["sex"] = 2 * known["sex"] - 1
            known |= {n: v.encode(known[n]) for n, v in joint.volumes.items() if n in known}
            for _ in range(COMPLETIONS):
                uniforms = rng.random(2 + len(joint.volumes))
                people.append(draw(joint, known, cohort, uniforms)[0])
                cohorts.append(cohort)
    names = ("age", "sex", *joint.volumes)
    return {n: np.concatenate([p[n] for p in people]) for n in names}, np.array(cohorts)


def mean(joint: Joint, known: Mapping[str, Array], cohort: int | None, name: str) -> float:
    """Mean of a covariate given the others: years, encoded volume, P(M) or P(second cohort)."""
    nodes = joint.nodes(known, cohort)
    weight = nodes.posterior
    if name == "age":
        return float((weight * nodes.years).sum())
    if name == "sex":
        return float((weight * (nodes.sex > 0)).sum())
    if name == "cohort":
        return float((weight.sum((0, 2, 3)) * np.array(nodes.cohorts)).sum())
    line = joint.line(name, nodes.years, nodes.sex, _at_nodes(joint, known))
    return float((weight * line.mean()).sum())


def quantiles(
    joint: Joint,
    known: Mapping[str, Array],
    cohort: int | None,
    name: str,
    shares: ArrayLike,
) -> Array:
    """Quantiles of the age (years) or a volume (encoded) given the others; as many as `shares`."""
    nodes = joint.nodes(known, cohort)
    weight = nodes.posterior

    def ages_up_to(y: float) -> float:
        passed = (y - nodes.years) / nodes.width + 0.5
        return float((weight * np.clip(passed, 0, 1)).sum())

    wanted = [float(share) for share in np.atleast_1d(np.asarray(shares, np.float64))]
    if name == "age":
        half = nodes.width / 2
        low, high = float((nodes.years - half).min()), float((nodes.years + half).max())
        return np.array([_invert(ages_up_to, share, low, high) for share in wanted])
    line = joint.line(name, nodes.years, nodes.sex, _at_nodes(joint, known))

    def volumes_up_to(y: float) -> float:
        return float((weight * line.cdf(np.array(y))).sum())

    return np.array([_invert(volumes_up_to, share, line.low, line.high) for share in wanted])


def _at_nodes(joint: Joint, known: Mapping[str, Array]) -> dict[str, Array]:
    return {n: known[n][:, None, None, None] for n in joint.volumes if n in known}


def _invert(rising: Callable[[float], float], share: float, low: float, high: float) -> float:
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < share else (low, middle)
    return (low + high) / 2
