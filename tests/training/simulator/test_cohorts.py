from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training.simulator.cohorts import COHORTS, RECORDABLE, Loads, draw_cohort, draw_people
from training.simulator.norms import THICKNESS_MM

HEALTHY, PATIENTS, CLINIC = COHORTS


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def drawn(simulator):
    return draw_cohort(simulator, PATIENTS, 1, seeded())


def people(simulator, cohort, n=200):
    return draw_people(simulator, cohort, [0] * n, 2.0, seeded())


def test_a_source_tells_what_it_records_and_nothing_else(drawn):
    told, true = drawn.recorded[0], drawn.truth.covariates[0]
    assert told.lesion_ml == true.lesion_ml > 0
    assert (told.sex, told.cohort) == (true.sex, PATIENTS.name)
    assert (told.age, told.ventricle_ml, told.thickness_mm, told.head_ml) == (None,) * 4
    assert None not in [getattr(true, name) for name in RECORDABLE]


def test_scans_have_the_sizes_that_the_person_has(drawn):
    asked, true = drawn.truth.asked[0], drawn.truth.covariates[0]
    assert true.ventricle_ml == pytest.approx(asked.ventricle_ml, rel=0.05)
    assert true.lesion_ml == pytest.approx(asked.lesion_ml, rel=0.1)
    assert true.age == asked.age


@pytest.mark.parametrize("cohort", COHORTS)
def test_people_are_of_the_cohort_s_age_and_sex(simulator, cohort):
    drawn = people(simulator, cohort)
    ages = [person.age for person in drawn]
    low, high = cohort.ages
    assert low <= min(ages) < low + 5
    assert high - 5 < max(ages) <= high
    women = sum(person.sex == "F" for person in drawn) / len(drawn)
    assert women == pytest.approx(cohort.women, abs=0.12)


def test_the_old_have_larger_ventricles_and_a_thinner_cortex(simulator):
    drawn = people(simulator, HEALTHY, 400)
    old, young = [p for p in drawn if p.age > 65], [p for p in drawn if p.age < 35]
    mean = [sum(p.ventricle_ml for p in group) / len(group) for group in (old, young)]
    assert mean[0] > 1.4 * mean[1]
    one, other = old[0], young[0]
    wanted = THICKNESS_MM.median(one.age, "F") / THICKNESS_MM.median(other.age, "F")
    assert one.thickness_mm / other.thickness_mm == pytest.approx(wanted)


def test_the_healthy_have_no_lesions_and_patients_have_their_median(simulator):
    assert {person.lesion_ml for person in people(simulator, HEALTHY, 20)} == {0.0}
    loads = sorted(person.lesion_ml for person in people(simulator, PATIENTS, 400))
    assert loads[200] == pytest.approx(PATIENTS.loads.median_ml, rel=0.25)
    assert loads[-1] <= PATIENTS.loads.most_ml


def test_loads_are_bounded(generator):
    assert {Loads(50.0, 3.0, most_ml=5.0).draw(generator) for _ in range(50)} >= {5.0}


def test_a_source_has_one_look_and_sources_differ(simulator):
    looks = [cohort.look(simulator.looks).means for cohort in COHORTS]
    assert torch.equal(looks[0], HEALTHY.look(simulator.looks).means)
    assert (looks[0] - looks[1]).abs().max() > 0.05
    assert (looks[1] - looks[2]).abs().max() > 0.05


def test_names_of_the_examples_are_their_own():
    assert len({cohort.name for cohort in COHORTS}) == len(COHORTS)
    assert len({cohort.recorded for cohort in COHORTS}) == len(COHORTS)


def test_what_cannot_be_a_cohort_is_refused():
    with pytest.raises(ValueError, match="height cannot be recorded"):
        replace(HEALTHY, recorded=("height",))
    with pytest.raises(ValueError, match="from 20 up to 85"):
        replace(HEALTHY, ages=(10.0, 30.0))
