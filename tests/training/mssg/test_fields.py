"""The mapping learns what it is taught, and only about what was recorded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models.mssg._generators import generator, label_model
from training.mssg.fields import Stage, Teacher, Weights, encoded, finish, label_vectors, train
from training.mssg.sources import Source
from training.mssg.statistics import Conditional
from training.mssg.surrogate import LOOK

from napari_medsyn.models.mssg.labels import LabelModel

MODEL = LabelModel.from_json(label_model())


def source(name: str, **recorded: float) -> Source:
    columns = ("age", "sex", "ventricles", "lesions")
    labels = {c: np.array([recorded.get(c, np.nan)], np.float32) for c in columns}
    nothing = np.zeros((1, 1, 1, 1))
    return Source(name, ("a",), nothing.astype(np.uint8), nothing > 1, labels, labels,
                  nothing > 1, ("a",), np.array([True]))  # type: ignore[arg-type]  # fmt: skip


def test_what_is_not_recorded_is_not_a_number() -> None:
    vector = encoded(MODEL, {"age": 50.0, "sex": 1.0, "lesions": 7.0, "ventricles": np.nan}, "ms")
    assert np.isnan(vector).tolist() == [False, False, True, False, False]
    assert vector[0] == pytest.approx(0.0)
    assert vector[1] == 1


def test_nothing_is_asked_for_that_no_source_has_recorded() -> None:
    healthy = source("ixi", age=40.0, sex=0.0, ventricles=20.0)
    patients = source("ms", age=40.0, sex=0.0, lesions=5.0)
    assert Weights.of([healthy, patients]).adherence == Weights().adherence
    assert Weights.of([patients]).adherence[2] == 0
    assert Weights.of([patients]).adherence[:2] == Weights().adherence[:2]


def test_label_vectors_are_of_both_cohorts_and_of_free_combinations() -> None:
    rows = label_vectors(MODEL, 120, np.random.default_rng(0), ("ixi", "ms"))
    assert rows.shape == (120, 5)
    assert np.isfinite(rows).all()
    assert {-1.0, 1.0} == set(rows[:, 4].tolist())
    laden = rows[rows[:, 4] < 0, 3]
    assert laden.max() > 0.5  # healthy scans with many lesions, too


def test_training_brings_the_coefficients_to_the_teachers() -> None:
    net = generator()
    net.requires_grad_(True)
    torch.manual_seed(0)
    slopes = 0.3 * torch.randn(7, net.sizes.shapes + net.sizes.appearances)
    teacher = Teacher(Conditional(slopes, torch.zeros(net.sizes.z, slopes.shape[1])), 2)
    pool = torch.from_numpy(label_vectors(MODEL, 300, np.random.default_rng(1), ("ixi", "ms")))

    def error() -> torch.Tensor:
        with torch.no_grad():
            z = torch.randn(200, net.sizes.z)
            wanted, _ = teacher.draw(pool[:200], z)
            made = net.coefficients(net.style(z, pool[:200]))
            return (torch.cat([made.shape, made.appearance], 1) - wanted).square().mean(0)

    before = error()
    stage = Stage(400, 5e-3, adherence=False)
    train(net, teacher, pool, None, torch.tensor([3.0, 0.5]), Weights(), stage)
    after = error()
    assert after.mean() < 0.4 * before.mean()
    assert after[net.sizes.shapes + LOOK] < after.mean()  # the look is held most firmly
    finish(net, pool)
    lengths = net.directions.norm(dim=1)
    assert bool((lengths[:-1] >= lengths[1:] - 1e-6).all())
