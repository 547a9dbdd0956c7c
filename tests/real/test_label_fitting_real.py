"""The label model on the real tables."""

from __future__ import annotations

import numpy as np
import pytest
from training.data.splits import people
from training.mssg.label_fitting import Table, held_out, load_tables

from napari_medsyn.models.mssg.labels import LabelModel

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def train(shared) -> tuple[Table, Table]:
    return load_tables(shared / "data", "train")


@pytest.fixture(scope="module")
def model(train) -> LabelModel:
    return LabelModel.fit(train)


def test_tables_hold_the_train_people_and_what_each_source_records(train):
    healthy, patients = train
    assert set(healthy.labels) == {"age", "sex", "ventricles"}
    assert set(patients.labels) == {"age", "sex", "lesions"}
    assert len(healthy.labels["age"]) == len(people("ixi", "train"))
    assert len(patients.labels["age"]) == len(people("ms", "train"))


def test_ventricles_widen_with_age(model):
    ml = [model.expected({"age": age, "sex": "F"}, "ventricles") for age in (25, 50, 75)]
    # Bigger than in the head itself, since the grid is affine to MNI.
    assert 15 < ml[0] < ml[1] < ml[2] < 55


def test_people_not_trained_on_are_foreseen_better_than_by_the_marginal(model, shared):
    healthy = load_tables(shared / "data", "validation")[0]
    found = held_out(model, healthy, "ventricles")
    assert found.log_likelihood > found.marginal + 0.2
    assert found.covered > 0.8


def test_it_survives_its_own_json(model):
    assert np.isfinite(
        LabelModel.from_json(model.to_json()).encode(model.decode(np.zeros(5)))
    ).all()
