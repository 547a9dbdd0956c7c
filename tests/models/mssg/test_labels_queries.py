"""Draws, means and quantiles agree with each other and with closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tests.models.mssg._people import hand_made, made_sources

from napari_medsyn.models.mssg.labels_queries import COMPLETIONS, completed, draw, mean, quantiles

#: Of ventricles given age 50 (0 encoded) and M, by hand: see test_labels_joint.
GIVEN = stats.norm(0.3, np.sqrt(0.425))


def known(**values):
    return {name: np.array([float(value)]) for name, value in values.items()}


def test_mean_and_quantiles_by_hand():
    joint, given = hand_made(), known(age=50, sex=1)
    assert mean(joint, given, 0, "ventricles") == pytest.approx(GIVEN.mean(), abs=1e-3)
    found = quantiles(joint, given, 0, "ventricles", [0.05, 0.5, 0.95])
    assert found == pytest.approx(GIVEN.ppf([0.05, 0.5, 0.95]), abs=2e-3)


def test_age_given_nothing_is_that_of_the_source():
    joint = hand_made()
    assert mean(joint, {}, 1, "age") == pytest.approx(50)
    assert quantiles(joint, {}, 1, "age", [0.1, 0.9]) == pytest.approx([42, 58])


def test_age_given_wide_ventricles_by_bayes():
    ages = np.linspace(-1, 1, 4001)
    weight = stats.norm(0.3 + 0.5 * ages, np.sqrt(0.425)).pdf(1.6)
    expected = 50 + 30 * (ages * weight).sum() / weight.sum()
    assert expected > 55
    found = mean(hand_made(), known(sex=1, ventricles=1.6), 0, "age")
    assert found == pytest.approx(expected, abs=0.05)


def test_sex_and_cohort():
    joint = hand_made()
    assert mean(joint, {}, 1, "sex") == pytest.approx(0.25)
    assert mean(joint, {}, None, "cohort") == pytest.approx(0.25)


def test_draws_follow_the_conditional(rng):
    joint = hand_made()
    people = [draw(joint, known(age=50, sex=1), 0, rng.random(4))[0] for _ in range(250)]
    drawn = np.array([person["ventricles"][0] for person in people])
    assert stats.kstest(drawn, GIVEN.cdf).pvalue > 1e-3
    lesions = np.array([person["lesions"][0] for person in people])
    # Cut off at 0.1 and 200 ml, the ends of what was recorded.
    assert -1.91 < lesions.min() < lesions.max() < 3.31
    assert abs(np.corrcoef(drawn, lesions)[0, 1]) < 0.2


def test_draws_of_everything_follow_the_shares(rng):
    joint = hand_made()
    drawn = [draw(joint, {}, None, rng.random(4)) for _ in range(300)]
    cohorts = np.array([cohort for _, cohort in drawn])
    ages, sex = (np.array([p[n][0] for p, _ in drawn]) for n in ("age", "sex"))
    assert cohorts.mean() == pytest.approx(0.25, abs=0.09)
    assert stats.kstest(ages[cohorts == 0], stats.uniform(20, 60).cdf).pvalue > 1e-3
    assert stats.kstest(ages[cohorts == 1], stats.uniform(40, 20).cdf).pvalue > 1e-3
    assert (sex[cohorts == 1] > 0).mean() == pytest.approx(0.25, abs=0.17)


def test_what_is_known_stays():
    given = known(age=33.25, sex=-1, lesions=0.5)
    person, cohort = draw(hand_made(), given, 1, np.full(4, 0.5))
    assert cohort == 1
    assert {n: person[n][0] for n in given} == {"age": 33.25, "sex": -1.0, "lesions": 0.5}


def test_neighbouring_conditions_give_neighbours():
    joint, uniforms = hand_made(), np.array([0.3, 0.6, 0.8, 0.1])
    drawn = [
        draw(joint, known(age=age, sex=1), 0, uniforms)[0]["ventricles"][0] for age in (50, 51, 52)
    ]
    # Half a unit in 30 years: the same quantile moves with the mean.
    assert np.diff(drawn) == pytest.approx([0.5 / 30] * 2, rel=0.05)


def test_people_are_completed_and_keep_what_was_recorded():
    sources = made_sources(4, 3)
    sources[1].labels["sex"][0] = np.nan
    people, cohorts = completed(hand_made(), sources, np.random.default_rng(0))
    assert cohorts.tolist() == [0] * 4 * COMPLETIONS + [1] * 3 * COMPLETIONS
    assert set(people) == {"age", "sex", "ventricles", "lesions"}
    assert all(np.isfinite(values).all() for values in people.values())
    assert set(people["sex"]) == {-1.0, 1.0}
    ages = np.repeat(sources[0].labels["age"], COMPLETIONS)
    assert people["age"][: len(ages)] == pytest.approx(ages)
