"""The arithmetic of the judges' benchmark, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.judges import covariate_rows, metric, prepared_of, tissue_rows
from tests.training.judges._people import made_people
from training.judges.tissue.classes import TISSUES, tissues_of

from napari_medsyn.models.judges.judge import Verdict


@pytest.fixture
def folk():
    return made_people(("ixi-012", "ixi-013", "ixi-014"), seed=4)


def values(rows):
    return {row["figure"]: row["value"] for row in rows}


def test_a_perfect_tissue_judge_has_dice_one(folk):
    verdicts = []
    for labels in folk.labels:
        codes = tissues_of(labels)
        ml = {t.key: (codes == t.code).sum() * 0.008 for t in TISSUES}
        verdicts.append(Verdict(ml, maps={"tissues": codes}))
    with np.errstate(invalid="ignore"):  # tissues that made people lack have no correlation
        found = values(tissue_rows(verdicts, folk))
    assert found["Dice, mean over tissues"] == 1
    assert found["Dice, ventricles"] == 1
    assert found["Volume r, ventricles"] == pytest.approx(1)


def test_errors_of_covariates_by_hand(folk):
    folk.age[:] = [30, 50, 70]
    folk.sex[:] = ["F", "M", "M"]
    told = zip((33, 50, 64), (0.2, 0.4, 0.9), folk.ventricle_ml + np.array([1, -1, 3]), strict=True)
    verdicts = [Verdict({"age": a, "male": m, "ventricles": float(v)}) for a, m, v in told]
    found = values(covariate_rows(verdicts, folk, mean_age=40.0))
    assert found["Age, mean absolute error (years)"] == pytest.approx(3)
    assert found["Age, mean error (years)"] == pytest.approx(-1)
    mean_predictor = "Age of the mean-predictor, mean absolute error (years)"
    assert found[mean_predictor] == pytest.approx(50 / 3)
    assert found["Sex, accuracy"] == pytest.approx(2 / 3)
    assert found["Sex, Brier score"] == pytest.approx((0.04 + 0.36 + 0.01) / 3)
    assert found["Ventricles, mean absolute error (ml)"] == pytest.approx(5 / 3, abs=1e-5)


def test_a_person_lies_on_the_grid_that_they_are_on(folk):
    study = prepared_of(folk, 1, biased=True)
    assert study.grid.shape == folk.brain.shape[1:]
    inside = study.volumes["T1"][folk.brain[1]]
    assert np.percentile(inside, 99.5) == pytest.approx(1)
    assert (study.volumes["T1"][~folk.brain[1]] == 0).all()
    back = study.to_reference(study.volumes["T1"])
    np.testing.assert_array_equal(back, study.volumes["T1"])


def test_a_row_becomes_a_metric_of_the_card():
    row = {"judge": "j", "figure": "Sex, accuracy", "value": 0.83333, "better": "higher"}
    assert metric(row, 31, "as is") == {
        "name": "Sex, accuracy",
        "value": 0.8333,
        "direction": "higher",
        "data_set": "IXI, held-out test people",
        "n": 31,
        "note": "as is; benchmarks/judges.py",
    }
