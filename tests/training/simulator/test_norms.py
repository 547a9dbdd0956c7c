from __future__ import annotations

import csv
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from training.simulator import check_norms
from training.simulator.check_norms import Cohort, fit, measure
from training.simulator.norms import (
    HEAD_ML,
    MIDDLE,
    OLDEST,
    TEMPLATE_ML,
    THICKNESS_MM,
    VENTRICLES_ML,
    YOUNGEST,
    Norm,
    mni_ventricles,
)

from napari_medsyn.errors import UnusableFile

NORMS = pytest.mark.parametrize("norm", [VENTRICLES_ML, THICKNESS_MM, HEAD_ML])
AGES = np.arange(YOUNGEST, OLDEST + 1, 5)


@pytest.mark.parametrize("sex", ["F", "M"])
def test_ventricles_grow_and_cortex_thins_with_age_and_heads_stay(sex):
    ventricles, thickness, head = (
        np.diff([norm.mean(age, sex) for age in AGES])
        for norm in (VENTRICLES_ML, THICKNESS_MM, HEAD_ML)
    )
    assert (ventricles > 0).all()
    assert (thickness < 0).all()
    assert (head == 0).all()


def test_the_growth_of_the_ventricles_quickens():
    medians = [VENTRICLES_ML.median(age, "F") for age in (30, 40, 60, 70)]
    assert medians[3] / medians[2] > medians[1] / medians[0]


@NORMS
@pytest.mark.parametrize("sex", ["F", "M"])
def test_mean_spread_and_percentiles_are_those_of_a_log_normal_distribution(norm, sex):
    for age in (YOUNGEST, 47.3, OLDEST):
        told = stats.lognorm(norm.deviation, scale=norm.median(age, sex))
        assert norm.mean(age, sex) == pytest.approx(told.mean())
        assert norm.spread(age, sex) == pytest.approx(told.std())
        assert norm.spread(age, sex) > 0
        for value in told.ppf([0.03, 0.5, 0.9]):
            assert norm.percentile(value, age, sex) == pytest.approx(100 * told.cdf(value))


@NORMS
def test_draws_have_the_mean_and_the_spread(norm):
    generator = torch.Generator().manual_seed(3)
    drawn = np.array([norm.draw(61, "M", generator) for _ in range(4000)])
    mean, spread = norm.mean(61, "M"), norm.spread(61, "M")
    assert drawn.mean() == pytest.approx(mean, abs=4 * spread / math.sqrt(len(drawn)))
    assert drawn.std() == pytest.approx(spread, rel=0.08)


@NORMS
def test_the_percentiles_of_draws_are_uniform(norm):
    generator = torch.Generator().manual_seed(4)
    ranks = [norm.percentile(norm.draw(33, "F", generator), 33, "F") for _ in range(1000)]
    assert stats.kstest(ranks, stats.uniform(0, 100).cdf).pvalue > 0.01


def test_a_draw_depends_on_the_generator_alone():
    first, again, other = (
        VENTRICLES_ML.draw(50, "F", torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_the_curve_by_hand():
    norm = Norm(level=10, men=1.5, slope=0.02, curvature=0.001, deviation=0.3)
    assert norm.median(MIDDLE, "F") == 10
    assert norm.median(MIDDLE, "M") == pytest.approx(15)
    assert norm.median(60, "M") == pytest.approx(15 * math.exp(0.2 + 0.1))
    assert norm.score(10 * math.exp(-0.6), MIDDLE, "F") == pytest.approx(-2)


def test_the_published_numbers():
    older, younger = (VENTRICLES_ML.median(MIDDLE + years, "F") for years in (5, -5))
    assert older / younger == pytest.approx(1.2)
    assert VENTRICLES_ML.men == pytest.approx(22.9 / 18.1)
    assert HEAD_ML.median(40, "M") / HEAD_ML.median(40, "F") == pytest.approx(1.12)
    assert THICKNESS_MM.median(28.5, "F") == pytest.approx(2.5)
    assert THICKNESS_MM.median(71, "M") / THICKNESS_MM.median(70, "M") == pytest.approx(
        0.998, abs=1e-5
    )


@NORMS
def test_ages_and_sexes_without_a_norm_are_refused(norm):
    for age in (YOUNGEST - 1, OLDEST + 1, math.nan):
        with pytest.raises(ValueError, match="the norms are for 20 to 85 years"):
            norm.mean(age, "F")
    with pytest.raises(ValueError, match="sex is 'F' or 'M', not 'female'"):
        norm.draw(50, "female", torch.Generator())


def test_ventricles_scale_with_the_head():
    assert mni_ventricles(20, TEMPLATE_ML) == 20
    assert mni_ventricles(20, TEMPLATE_ML / 2) == pytest.approx(40)
    with pytest.raises(ValueError, match="a head's volume is positive, not 0 ml"):
        mni_ventricles(20, 0)


def cohort(norm: Norm, n: int = 3000) -> Cohort:
    rng = np.random.default_rng(8)
    age, sex = rng.uniform(YOUNGEST, OLDEST, n), rng.choice(["F", "M"], n)
    generator = torch.Generator().manual_seed(8)
    values = np.array([norm.draw(a, s, generator) for a, s in zip(age, sex, strict=True)])
    return Cohort(age, sex, values, values, values, values)


def test_the_fit_finds_the_norm_that_people_were_drawn_from():
    true = replace(VENTRICLES_ML, level=22.0, curvature=1e-4, deviation=0.25)
    people = cohort(true)
    fitted, free = fit(VENTRICLES_ML, people.ventricles, people, curved=True)
    assert fitted.level == pytest.approx(22.0, rel=0.02)
    assert fitted.curvature == free == pytest.approx(1e-4, abs=3e-5)
    assert fitted.deviation == pytest.approx(0.25, rel=0.04)
    assert (fitted.men, fitted.slope) == (VENTRICLES_ML.men, VENTRICLES_ML.slope)


def test_the_fit_lets_no_curve_fall_in_youth():
    people = cohort(replace(VENTRICLES_ML, curvature=6e-4))
    fitted, free = fit(VENTRICLES_ML, people.ventricles, people, curved=True)
    assert free == pytest.approx(6e-4, abs=5e-5)
    assert fitted.curvature == VENTRICLES_ML.curvature
    assert fitted.median(YOUNGEST + 1, "F") > fitted.median(YOUNGEST, "F")


def test_native_volumes_are_those_of_the_grid_times_the_affine(tmp_path, monkeypatch):
    healthy = SimpleNamespace(
        ids=("ixi-012", "ixi-034"),
        age=np.array([30, 60], np.float32),
        sex=np.array(["F", "M"]),
        brain=np.stack([np.ones((5, 5, 5), bool), np.zeros((5, 5, 5), bool)]),
        affine=np.diag([2.0, 2, 2, 1]),
        ventricle_ml=np.array([20, 30], np.float32),
    )
    monkeypatch.setattr(check_norms, "load_healthy", lambda *_, **__: healthy)
    with pytest.raises(UnusableFile, match=r"ixi_qc\.csv: there is no such file"):
        measure(tmp_path)
    (tmp_path / "healthy_t1").mkdir()
    with (tmp_path / "healthy_t1" / "ixi_qc.csv").open("w", newline="") as file:
        rows = [("id", "jac"), ("IXI034-HH-1260", "0.5"), ("IXI012-HH-1211", "0.8")]
        csv.writer(file).writerows(rows)
    people = measure(tmp_path)
    assert people.ventricles == pytest.approx([16, 15])
    assert people.head_mni == pytest.approx([1, 0])
    assert people.head == pytest.approx([0.8, 0])


def test_what_the_check_prints(capsys):
    people = cohort(VENTRICLES_ML)
    check_norms.print_constants(people)
    check_norms.print_table(people)
    printed = capsys.readouterr().out.splitlines()
    level = next(line for line in printed if line.startswith("VENTRICLES_ML.level"))
    assert float(level.split()[-2]) == pytest.approx(VENTRICLES_ML.level, rel=0.05)
    bands = [line.split() for line in printed if line[:2].isdigit()]
    assert sum(int(band[2]) for band in bands) == 3000
    assert all(abs(float(band[-2])) < 0.3 for band in bands)
