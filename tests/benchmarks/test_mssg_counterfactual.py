"""The arithmetic of the benchmark of counterfactuals, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.mssg_counterfactual import (
    UNIT,
    patient_of,
    psnr,
    signed,
    spread_over,
    summary,
    whole,
)
from tests.training.judges._people import made_people


def person(**figures):
    row = {
        "person": "ixi-1",
        "age": 50,
        "sex": "F",
        "PSNR dB": 30.0,
        "zero edit": True,
        "outside": 0.0,
        "P(male)": 0.2,
        "as other": 0.9,
        "back dB": float("nan"),
    }
    for kind in ("alone", "following"):
        row |= {f"age + {kind}": 15.0, f"age - {kind}": -15.0}
        row |= {f"ml + {kind}": 2.0, f"ml - {kind}": -1.0}
    return {**row, **figures}


def values(rows):
    return {line["what"]: line["value"] for line in summary(rows)}


def test_psnr_is_against_the_brightest_of_the_brain():
    scan = np.full((4, 4, 4), 200.0)
    brain = scan > 0
    brain[0] = False
    image = scan + np.where(brain, 2.0, 100.0)  # what is outside does not count
    assert psnr(image, scan, brain) == pytest.approx(20 * np.log10(200 / 2))
    assert psnr(scan, scan, brain) == float("inf")


def test_a_patient_keeps_scan_grid_and_brain():
    folk = made_people(("ixi-012",), seed=1)
    patient = patient_of(folk, 0)
    assert patient.known == {"age": round(float(folk.age[0])), "sex": str(folk.sex[0])}
    np.testing.assert_array_equal(patient.scan.voxels > 0, folk.brain[0])
    assert np.percentile(patient.scan.voxels[folk.brain[0]], 99.5) == pytest.approx(UNIT, abs=1)
    np.testing.assert_array_equal(patient.scan.affine, folk.affine)


def test_people_are_of_all_ages():
    age = np.array([50.0, 20.0, 80.0, 30.0, 60.0])
    assert spread_over(age, 3) == [1, 0, 2]
    assert spread_over(age, 9) == [1, 3, 0, 4, 2]
    assert spread_over(age, 1) == [1]


def test_years_taken_away_count_with_their_sign_turned():
    rows = [person(), person(**{"age + alone": 35.0, "age - alone": 4.0})]
    assert signed(rows, "age", "alone").tolist() == [15, 35, 15, -4]
    found = values(rows)
    assert found["age by 20 years alone: 10 to 30 years measured, share"] == pytest.approx(2 / 4)
    assert found["age by 20 years alone: right direction, share"] == pytest.approx(3 / 4)
    assert found["age by 20 years alone: mean years measured"] == pytest.approx(61 / 4)
    assert found["age by 20 years following: mean growth, ml"] == pytest.approx(1.5)


def test_an_edit_beyond_the_control_is_left_out():
    young = person()
    del young["age - alone"]
    assert signed([young], "age", "alone").tolist() == [15]
    rows = whole([young, person()])
    assert rows[0].keys() == rows[1].keys()
    assert rows[0]["age - alone"] is None


def test_sexes_flip_where_the_judge_reads_what_was_asked():
    rows = [
        person(),
        person(sex="M", **{"P(male)": 0.9, "as other": 0.7}),  # towards it, not there
        person(**{"P(male)": 0.6, "as other": 0.8}),  # was read wrong before
    ]
    found = values(rows)
    assert found["sex edited: read as asked, share"] == pytest.approx(2 / 3)
    assert found["of those read right before, share"] == pytest.approx(1 / 2)
    assert found["sex edited: moved towards it, share"] == 1


def test_what_was_not_edited_back_is_not_told():
    assert not any("back" in what for what in values([person()]))
    found = values([person(**{"back dB": 31.0}), person(**{"back dB": 33.0}), person()])
    assert found["age edited and back, mean PSNR, dB"] == pytest.approx(32)
    assert found["the worst of them, back"] == 31
