"""The arithmetic of the benchmark of control, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.mssg_control import agreements, drawn, effect_rows, strata_rows, uniform
from tests.models.mssg import _generators as made

from napari_medsyn.models.mssg.labels import LabelModel


@pytest.fixture(scope="module")
def labels():
    return LabelModel.from_json(made.label_model())


def requested(n, rng):
    return {
        "age": rng.uniform(20, 80, n),
        "sex": rng.integers(0, 2, n).astype(float),
        "ventricles": rng.uniform(10, 60, n),
        "lesions": rng.uniform(0.5, 50, n),
        "cohort": np.arange(n) % 2.0,
    }


def perfect(asked):
    read = {name: asked[name].copy() for name in ("age", "sex", "ventricles", "lesions")}
    return {**read, "lesions, the model's own": asked["lesions"].copy()}


def test_both_cohorts_are_drawn_in_turns(labels, rng):
    for people in (drawn(labels, 6, rng), uniform(labels, 6, rng)):
        assert [person["cohort"] for person in people] == ["ixi", "ms"] * 3
        assert all(None not in person.values() for person in people)


def test_uniform_covariates_have_nothing_to_do_with_each_other(labels, rng):
    people = uniform(labels, 400, rng)
    columns = [[person[n] for person in people] for n in ("age", "ventricles", "lesions")]
    apart = np.corrcoef(columns) - np.eye(3)
    assert np.abs(apart).max() < 0.2
    # The label model's own range of the volumes.
    assert 8 <= min(columns[1]) < 12
    assert 55 < max(columns[1]) <= 60


def test_what_no_source_holds_has_its_own_rows(rng):
    asked = requested(40, rng)
    read = perfect(asked)
    read["lesions"][0::2] *= 0.5  # in cohort ixi, of which no source records lesions
    rows = {(r["covariate"], r["cohort asked for"]): r for r in agreements(asked, read, "uniform")}
    assert rows["lesions", "ixi"]["held by a source"] == "no"
    assert rows["lesions", "ms"]["held by a source"] == "yes"
    assert rows["ventricles", "ixi"]["held by a source"] == "yes"
    assert rows["ventricles", "ms"]["held by a source"] == "no"
    assert ("age", "ixi") not in rows  # both sources record it
    assert rows["lesions", "ixi"]["slope"] == pytest.approx(0.5)
    assert rows["lesions", "ms"]["slope"] == pytest.approx(1)
    assert rows["age", "both"]["target r"] == 0.8


def test_people_who_were_not_read_for_lesions_are_not_counted(rng):
    asked = requested(40, rng)
    read = perfect(asked)
    read["lesions"][10:] = np.nan
    read["lesions, the model's own"][:] = np.nan  # a model that does not say
    rows = [r for r in agreements(asked, read, "uniform") if r["covariate"].startswith("lesions")]
    assert {(r["covariate"], r["n"]) for r in rows} == {("lesions", 10), ("lesions", 5)}


def test_perfect_control_is_one_on_the_diagonal_and_nothing_beside_it(rng):
    asked = requested(60, rng)
    for row in effect_rows(asked, perfect(asked)):
        for name in ("age", "sex", "ventricles", "lesions"):
            expected = float(row["requested"] == name)
            assert row[name] == pytest.approx(expected, abs=1e-6)


def test_a_model_without_a_covariate_has_no_row_of_it(rng):
    asked = requested(60, rng)
    read = perfect(asked)
    asked["lesions"][:] = np.nan
    rows = effect_rows(asked, read)
    assert [row["requested"] for row in rows] == ["age", "sex", "ventricles", "cohort"]
    assert "lesions" not in {row["covariate"] for row in strata_rows(asked, read)}


def test_the_worst_stratum_is_told(rng):
    asked = requested(300, rng)
    read = perfect(asked)
    old = asked["age"] > np.quantile(asked["age"], 2 / 3)
    read["age"][old] += 9
    age, ventricles, _ = strata_rows(asked, read)
    assert age["worst"].startswith("age high")
    assert age["worst MAE"] == pytest.approx(9)
    assert age["MAE"] == pytest.approx(3, rel=0.02)
    assert ventricles["MAE"] == pytest.approx(0, abs=1e-9)
