"""The composed model against Bayes' rule by hand, with SciPy's densities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.models.mssg._people import hand_made

from napari_medsyn.models.mssg.labels_logistic import Logistic

# Ages are even in both sources: 1/60 and 1/20 per year.
AGE_IXI, AGE_MS = 1 / 60, 1 / 20


def column(**values):
    return {name: np.array([float(value)]) for name, value in values.items()}


def density(joint, cohort, **values):
    return float(np.exp(joint.nodes(column(**values), cohort).log_density[0]))


def ventricles(code, encoded_age, sex):
    """Given age: mean 0.1 + 0.2 sex + 0.15 / 0.3 age, variance 0.5 - 0.15² / 0.3."""
    mean = 0.1 + 0.2 * sex + 0.5 * encoded_age
    return stats.norm(mean, np.sqrt(0.5 - 0.075)).pdf(code)


def test_all_known():
    found = density(hand_made(), 0, age=65, sex=1, ventricles=0.7, lesions=-0.4)
    # Lesions between 0.1 and 200 ml, the ends of what was recorded.
    lesions = stats.truncnorm(np.log(1.1) - 2, np.log(201) - 2).pdf(-0.4)
    expected = AGE_IXI * 0.5 * ventricles(0.7, 0.5, 1) * lesions
    assert found == pytest.approx(expected, rel=1e-4)


def test_what_is_unknown_is_summed_out():
    joint = hand_made()
    ages = np.linspace(-1, 1, 2001)
    men, women = (ventricles(1.5, ages, sex).mean() for sex in (1, -1))
    assert density(joint, 0, sex=1, ventricles=1.5) == pytest.approx(0.5 * men, rel=1e-3)
    assert density(joint, 0, ventricles=1.5) == pytest.approx(0.5 * (men + women), rel=1e-3)


def test_weights_are_probabilities():
    nodes = hand_made().nodes({"age": np.array([50.0])}, 0)
    assert nodes.posterior.sum() == pytest.approx(1)
    everything = hand_made().nodes(column(sex=1), None)
    assert float(np.exp(everything.log_density[0])) == pytest.approx(0.75 * 0.5 + 0.25 * 0.25)


def test_ventricles_of_patients_come_from_the_healthy():
    # In source 2 nobody measured them: p(v | age, sex) of source 1, ages and sex of source 2.
    found = density(hand_made(), 1, age=50, sex=1, ventricles=0.3)
    assert found == pytest.approx(AGE_MS * 0.25 * ventricles(0.3, 0.0, 1), rel=1e-3)


def test_cohort_by_bayes():
    nodes = hand_made().nodes(column(age=50, sex=1), None)
    ms, ixi = 0.25 * AGE_MS * 0.25, 0.75 * AGE_IXI * 0.5
    assert nodes.posterior.sum((0, 2, 3)) == pytest.approx([ixi / (ixi + ms), ms / (ixi + ms)])


def test_an_age_that_one_source_has_not_seen_tells_the_cohort():
    nodes = hand_made().nodes(column(age=30), None)
    assert nodes.posterior.sum((0, 2, 3)) == pytest.approx([1, 0], abs=1e-12)


def test_an_age_that_nobody_has_leaves_the_shares():
    nodes = hand_made().nodes(column(age=99), None)
    assert nodes.posterior.sum((0, 2, 3)) == pytest.approx([0.75, 0.25])


def test_many_people_at_once_are_as_one_by_one(rng):
    joint = hand_made()
    people = {
        "age": rng.uniform(20, 80, 5),
        "ventricles": rng.standard_normal(5),
        "lesions": rng.standard_normal(5),
    }
    together = joint.nodes(people, None).log_density
    for row in range(5):
        one = {name: values[row : row + 1] for name, values in people.items()}
        assert joint.nodes(one, None).log_density[0] == pytest.approx(together[row])


def test_ages_and_sex_of_a_source_without_are_the_others():
    joint = hand_made()
    blind = replace(joint.sources[1], age=None, sex=None)
    borrowed = replace(joint, sources=(joint.sources[0], blind))
    assert density(borrowed, 1, age=30, sex=1) == pytest.approx(density(joint, 0, age=30, sex=1))


def test_sex_beyond_the_ages_of_a_source_is_that_of_the_nearest():
    joint = hand_made()
    sloped = replace(joint.sources[1], sex=Logistic(0.0, 3.0))
    joint = replace(joint, sources=(joint.sources[0], sloped))

    def men(age):
        return joint.nodes(column(age=age), 1).posterior[..., 1].sum()

    # 60, the oldest of source 2, is 1/3 on the scale of both: log odds 3/3.
    assert men(60) == pytest.approx(1 / (1 + np.exp(-1)))
    assert men(78) == pytest.approx(men(60))
