"""The fit of the covariate judge on made features: who counts, and what is stored."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tests.training.judges._people import SHAPE, made_people
from training.judges import people
from training.judges.covariates.__main__ import Config, cells_in_use, fit
from training.judges.covariates.features import Measured
from training.judges.tissue.classes import TISSUES

from napari_medsyn.models.judges.covariates import morphometry
from napari_medsyn.models.judges.networks import TissueNet, TissueTopology

CONFIG = Config(count=4, repeats=2, floor=0.01, cover=-9.0)
TISSUE = TissueNet(TissueTopology(len(TISSUES), (4, 4, 4), SHAPE))
#: Cells of the coarse grid: a third of each side, rounded up.
CELLS = (len(TISSUES), 4, 6, 4)


@pytest.fixture(scope="module")
def folk():
    return made_people()


@pytest.fixture(scope="module")
def measured(folk):
    """Features that hold age and sex, with noise; the ventricles are read a fifth too small."""
    rng = np.random.default_rng(0)
    features = np.zeros((len(folk), int(np.prod(CELLS))), np.float32)
    features[:, :60] = 0.05 * rng.normal(size=(len(folk), 60))
    features[:, 0] += folk.age / 50
    features[:, 1] += np.where(folk.sex == "M", 0.3, 0.0)
    drawn = np.ones((len(folk), len(TISSUES)))
    drawn[:, 6] = folk.ventricle_ml
    return Measured(features, 0.8 * drawn, drawn, np.full(drawn.shape, 0.9))


@pytest.fixture(scope="module")
def fitted(folk, measured):
    return fit(TISSUE, folk, measured, CONFIG)


def test_what_can_be_read_is_read(fitted, folk):
    _, figures = fitted
    assert figures["cross_validation"]["n"] == len(folk) == 157
    for part in ("cross_validation", "judges_people", "test"):
        assert figures[part]["age_mae"] < 0.4 * figures[part]["mean_predictor_age_mae"]
        assert figures[part]["sex_accuracy"] > 0.9
    assert figures["test"]["ventricles_r"] == pytest.approx(1)
    ml = folk.ventricle_ml[np.isin(folk.ids, people.test_people())]
    assert figures["test"]["ventricles_bias_ml"] == pytest.approx(-0.2 * ml.mean(), abs=1e-3)


def test_test_people_and_predictors_do_not_move_what_is_shipped(fitted, folk, measured):
    others = ~np.isin(folk.ids, people.judges_people())
    age = np.where(others, 99, folk.age).astype(np.float32)
    sex = np.where(others, "F", folk.sex)
    strange = dataclasses.replace(folk, age=age, sex=sex)
    network, _ = fit(TISSUE, strange, measured, CONFIG)
    torch.testing.assert_close(network.state_dict(), fitted[0].state_dict())


def test_the_network_says_what_the_fit_says(fitted, folk, measured):
    network, _ = fitted
    # Shares whose morphometry is one person's features cannot be had; linear maps can be
    # compared on any shares.
    shares = torch.rand((len(TISSUES), *SHAPE), generator=torch.Generator().manual_seed(0))
    features = morphometry(shares).flatten()
    assert features.shape == (measured.features.shape[1],)
    age, _ = network(shares)
    expected = network.maps[0] @ features * network.scale[0] + network.offset[0]
    assert float(age) == pytest.approx(float(expected), rel=1e-5)
    # Cells that are empty in everybody weigh nothing, and the largest weight is 1.
    assert (network.maps[:, 60:] == 0).all()
    torch.testing.assert_close(network.maps.abs().max(dim=1).values, torch.ones(2))
    told = network.maps @ torch.from_numpy(measured.features.T) * network.scale[:, None]
    told = (told + network.offset[:, None]).numpy()
    ours = np.isin(folk.ids, people.judges_people())
    assert np.abs(told[0] - folk.age)[ours].mean() < 5
    male = folk.sex == "M"
    assert ((told[1] > 0) == male)[ours].mean() > 0.9


def test_only_cells_that_tissue_fills_are_in_use():
    # Two people, eight tissues, three cells: full, half full in the mean, full but for one person.
    features = np.zeros((3, len(TISSUES), 3), np.float32)
    features[:, 0, 0], features[:, 1, 0] = 0.7, 0.3
    features[0, 0, 1] = 1.0
    features[:2, 0, 2] = 1.0
    who = np.array([True, True, False])
    used = cells_in_use(features.reshape(3, -1), who, 0.97).reshape(len(TISSUES), 3)
    assert np.argwhere(used).tolist() == [[0, 0], [0, 2], [1, 0]]
