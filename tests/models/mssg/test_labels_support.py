"""Percentiles by hand, and what is inside."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tests.models.mssg._people import hand_made

from napari_medsyn.models.mssg.labels_queries import draw
from napari_medsyn.models.mssg.labels_support import ANY, LEVELS, Judge, Quantiles, measure, subset


@pytest.fixture(scope="module")
def judge():
    """Measured on 300 people drawn from the model itself."""
    joint, rng = hand_made(), np.random.default_rng(0)
    cohorts = np.repeat([0, 1], 150)
    people = [draw(joint, {}, int(cohort), rng.random(4))[0] for cohort in cohorts]
    columns = {n: np.concatenate([p[n] for p in people]) for n in people[0]}
    return Judge(joint, measure(joint, columns, cohorts))


def test_subsets_have_one_key_whatever_their_order():
    assert subset(("sex", "age")) == subset(["age", "sex"]) == "age+sex"


def test_percentiles_between_quantiles_by_hand():
    stored = Quantiles((0.0, 10.0, 50.0, 100.0), {ANY: {"age": [-8.0, -4.0, -2.0, -1.0]}})
    found = stored.percentile(ANY, ("age",), np.array([-9.0, -6.0, -3.0, -1.5, 0.0]))
    assert found == pytest.approx([0, 5, 30, 75, 100], abs=0.02)


def test_the_least_usual_person_is_not_more_unusual_than_himself():
    # Among 20 people the lowest two percentiles are one and the same person.
    stored = Quantiles((0.0, 1.0, 2.0, 100.0), {ANY: {"age": [-4.0, -4.0, -4.0, -1.0]}})
    assert stored.percentile(ANY, ("age",), np.array([-4.0]))[0] >= 2
    assert stored.percentile(ANY, ("age",), np.array([-4.1]))[0] == 0


def test_every_combination_is_measured(judge):
    assert set(judge.quantiles.values) == {"ixi", "ms", ANY}
    for subsets in judge.quantiles.values.values():
        assert len(subsets) == 2**4 - 1
        assert all(len(values) == len(LEVELS) for values in subsets.values())


def test_density_region_of_a_normal_is_an_interval(judge):
    # Lesions are standard normal above -1.9, which is 0.1 ml: z is denser than all but
    # P(|Z| > |z|) of the people.
    z = np.array([0.0, 1.0, 1.64, 1.9])
    found = judge.percentiles({"lesions": z}, 1)
    low = np.log(1.1) - 2
    rarer = stats.norm.sf(z) + np.maximum(stats.norm.cdf(-z) - stats.norm.cdf(low), 0)
    assert found == pytest.approx(100 * rarer / stats.norm.sf(low), abs=7)


def test_beyond_the_range_is_at_percentile_0(judge):
    # 200 ml is 3.3: beyond it.  The density alone is smooth there.
    assert judge.percentiles({"lesions": np.array([3.4])}, 1)[0] == 0
    assert judge.beyond({"lesions": np.array([3.4, 3.2])}, 1)["lesions"].tolist() == [1, 0]


def test_a_cohort_has_its_own_ages(judge):
    assert judge.ages(0) == (20, 80)
    assert judge.ages(1) == (40, 60)
    assert judge.ages(None) == (20, 80)
    years = np.array([30.0, 39.5, 60.5, 61.5])
    assert judge.beyond({"age": years}, 1)["age"].tolist() == [1, 0, 0, 1]
    assert judge.percentiles({"age": years}, 1)[1] > 2
    assert judge.percentiles({"age": years}, 0).min() > 2


def test_an_unusual_pair_of_usual_values(judge):
    # Of 20-year-olds (-1) ventricles are -0.4 ± 0.65; 1.6 is usual at 80.
    pair = {"age": np.array([20.0, 80.0]), "ventricles": np.array([1.6, 1.6])}
    young, old = judge.percentiles(pair, 0)
    assert young < 2 < old
    assert (judge.percentiles({"ventricles": pair["ventricles"]}, 0) > 2).all()


def test_candidates_are_what_a_user_would_type(judge):
    assert judge.candidates("age", 1).tolist() == list(range(40, 61))
    ml = judge.candidates("ventricles", 0)
    assert {0.52, 14.0, 150.0} <= set(ml.tolist())
    assert all(float(f"{value:.2g}") == value for value in ml)
    assert 0.5 <= ml.min() < ml.max() <= 800
