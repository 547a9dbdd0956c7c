"""The covariate judge, with linear maps whose answers are computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.models.judges._packages import SHAPE, TOPOLOGY, atlas_reader, prepared, write

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.families import load_judge
from napari_medsyn.models.judges.covariates import CovariateNet, morphometry
from napari_medsyn.registry.card import read_card

READINGS = [
    {"name": "age", "label": "Age", "unit": "years"},
    {"name": "male", "label": "Probability of being male"},
    {"name": "ventricles", "label": "Ventricles", "unit": "ml"},
]
ARCHITECTURE = {"classes": 3, "widths": [4, 4, 4], "shape": list(SHAPE), "ventricles_code": 3}


def package(folder, net, **changes):
    values = {
        "family": "covariate-judge",
        "outputs": [],
        "readings": READINGS,
        "architecture": ARCHITECTURE,
        "calibration": {"age_sd": 7.5},
    }
    return write(folder, net.state_dict(), **{**values, **changes})


@pytest.fixture
def net():
    """Everything is class 3; the maps read the cell in the middle of class 3."""
    net = CovariateNet(TOPOLOGY)
    net.tissue.load_state_dict(atlas_reader().state_dict())
    net.tissue.atlas[0, 2] = 30.0
    maps = torch.zeros(2, 3, 4, 5, 3)
    maps[0, 2, 1, 2, 1], maps[1, 2, 1, 2, 1] = 1.0, -1.0
    net.maps.copy_(maps.flatten(1))
    net.scale.copy_(torch.tensor([40.0, 2.0]))
    net.offset.copy_(torch.tensor([10.0, 0.5]))
    return net


def test_readings_are_the_linear_maps_of_morphometry(tmp_path, net):
    folder = package(tmp_path / "j", net)
    t1 = np.full(SHAPE, 0.6, np.float32)
    verdict = load_judge(folder, read_card(folder), "cpu").read(prepared(t1))
    # The cell lies inside, so all of its 27 smoothed voxels have share 1.
    assert verdict.readings["age"] == pytest.approx(40 + 10, abs=1e-3)
    assert verdict.readings["male"] == pytest.approx(1 / (1 + math.exp(2 - 0.5)), abs=1e-3)
    assert verdict.readings["ventricles"] == pytest.approx(10 * 13 * 9 * 8 / 1000)
    assert verdict.spread == {"age": 7.5}
    assert verdict.maps == {}


def test_morphometry_is_a_mean_of_means():
    shares = torch.zeros(2, 7, 6, 6)
    shares[1, 4, 4, 4] = 1.0
    coarse = morphometry(shares)
    assert coarse.shape == (2, 3, 2, 2)
    # The voxel's 27 neighbours get 1/27 each, and all lie in the cell from 3 to 5.
    assert coarse[1, 1, 1, 1] == pytest.approx(1 / 27)
    assert coarse.sum() == pytest.approx(1 / 27)
    # A cell that the grid cuts is the mean of the voxels that there are; smoothing takes 0
    # from outside the grid: 1/3 along x, (2/3 + 1 + 1) / 3 along y and z.
    shares = torch.zeros(1, 7, 6, 6)
    shares[0, 6] = 1.0
    assert morphometry(shares)[0, 2, 0, 0] == pytest.approx(1 / 3 * (8 / 9) ** 2)


def test_what_lies_outside_the_brain_counts_for_nothing(tmp_path, net):
    folder = package(tmp_path / "j", net)
    judge = load_judge(folder, read_card(folder), "cpu")
    t1 = np.full(SHAPE, 0.6, np.float32)
    mask = np.zeros(SHAPE, bool)
    mask[:, :, 0] = True
    verdict = judge.read(prepared(np.where(mask, t1, 0).astype(np.float32), mask))
    assert verdict.readings["ventricles"] == pytest.approx(10 * 13 * 8 / 1000)


def test_a_class_that_is_not_there_is_refused(tmp_path, net):
    folder = package(tmp_path / "j", net, architecture={**ARCHITECTURE, "ventricles_code": 4})
    with pytest.raises(UnusableModel, match="no class 4 among 3"):
        load_judge(folder, read_card(folder), "cpu")
