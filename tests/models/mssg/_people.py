"""Made people of two sources whose true law is known, and a label model written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_medsyn.models.mssg.labels_beta import Beta
from napari_medsyn.models.mssg.labels_joint import Joint
from napari_medsyn.models.mssg.labels_logistic import Logistic
from napari_medsyn.models.mssg.labels_mixture import Mixture
from napari_medsyn.models.mssg.labels_source import AgeScale, SourceModel, Volume


@dataclass(frozen=True)
class MadeSource:
    name: str
    labels: dict[str, Any]


def made_sources(healthy: int = 90, patients: int = 40) -> tuple[MadeSource, MadeSource]:
    """Ventricles grow by 1.2 % a year from 14 ml at 20; lesions depend on nothing."""
    rng = np.random.default_rng(5)
    age = rng.uniform(20, 80, healthy)
    ventricles = 14 * np.exp(0.012 * (age - 20) + 0.2 * rng.standard_normal(healthy))
    lesions = np.expm1(2.5 + 0.6 * rng.standard_normal(patients))
    sex = [rng.integers(0, 2, n).astype(float) for n in (healthy, patients)]
    return (
        MadeSource("ixi", {"age": age, "sex": sex[0], "ventricles": ventricles}),
        MadeSource("ms", {"age": rng.uniform(25, 55, patients), "sex": sex[1], "lesions": lesions}),
    )


def mixture(means: Any, covariances: Any, shifts: Any = None, weights: Any = (1.0,)) -> Mixture:
    means = np.array(means, float)
    shifts = np.zeros_like(means) if shifts is None else np.array(shifts, float)
    return Mixture(np.array(weights), means, shifts, np.array(covariances, float))


#: ln(ml) has mean 3 and deviation 0.5; wide ends, which cut nothing off.
VENTRICLES = Volume("ventricles", "log", 3.0, 0.5, 0.5, 800.0)
LESIONS = Volume("lesions", "log1p", 2.0, 1.0, 0.1, 200.0)


def hand_made(given_age: bool = True) -> Joint:
    """Source 1: ages 20 to 80, even; source 2: 40 to 60, even.  Three are of 1 to one of 2.

    Ages -1 to 1 have a joint normal with ventricles: covariance 0.15, variances 0.3 and 0.5;
    men have 0.4 more.  P(M) is 1/2 in source 1, and 1/4 in source 2.
    """
    covariance = [[0.3, 0.15], [0.15, 0.5]]
    both = mixture([[0.0, 0.1]], [covariance], [[0.0, 0.2]])
    alone = mixture([[0.1]], [[[0.5]]], [[0.2]])
    healthy = SourceModel(
        "ixi",
        75,
        Beta(20.0, 80.0, 1.0, 1.0),
        Logistic(0.0, 0.0),
        (VENTRICLES,),
        given_age,
        both if given_age else alone,
    )
    patients = SourceModel(
        "ms",
        25,
        Beta(40.0, 60.0, 1.0, 1.0),
        Logistic(float(-np.log(3)), 0.0),
        (LESIONS,),
        False,
        mixture([[0.0]], [[[1.0]]]),
    )
    return Joint((healthy, patients), AgeScale(20.0, 80.0))
