"""Crops and the window around them; the judge's readings are tested on real people."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_medsyn.evaluation.crops import LOW, SHAPE, brains_of, judge_crops, windows
from napari_medsyn.models.judges.networks import TissueNet, TissueTopology
from napari_medsyn.models.mssg import lattice


@pytest.fixture
def network():
    return TissueNet(TissueTopology(2, (1, 1, 1), (91, 109, 91)))


def made_crops(n=1):
    crops = np.zeros((n, *SHAPE), np.float32)
    crops[:, 20:60, 20:80, 10:70] = 0.6
    return crops


def test_the_crop_is_that_of_the_generators():
    assert (LOW, SHAPE) == (lattice.LOW, lattice.SHAPE)


def test_a_brain_is_the_largest_part_with_its_holes_filled():
    crop = made_crops()
    crop[0, 30:35, 30:35, 30:35] = 0  # a ventricle
    crop[0, 2:5, 2:5, 2:5] = 1  # a speck beside
    brain = brains_of(crop)
    assert brain[0, 20:60, 20:80, 10:70].all()
    assert brain.sum() == 40 * 60 * 60


def test_nothing_has_no_brain():
    assert not brains_of(np.zeros((1, *SHAPE), np.float32)).any()


def test_a_window_holds_the_crop_at_its_place_in_the_grid(network):
    crop = made_crops()
    crop[0, 25, 30, 12] = 3.0
    ((t1, inside),) = windows(crop, None, network, "cpu")
    # The window begins at (4, 4, 0): one voxel before the crop along X and Y.
    assert t1.shape == (1, 1, 84, 104, 84)
    assert t1[0, 0, 26, 31, 12] == 1.5  # as bright as the judge has learnt
    assert torch.equal(inside > 0, t1[0, 0] > 0)
    assert int(inside.sum()) == 40 * 60 * 60


def test_what_is_outside_the_mask_is_not_read(network):
    mask = brains_of(made_crops())
    mask[:, :30] = False
    ((t1, inside),) = windows(made_crops(), mask, network, "cpu")
    assert (t1[0, 0, :31] == 0).all()
    assert int(inside.sum()) == 30 * 60 * 60


def test_other_shapes_are_refused(network):
    with pytest.raises(ValueError, match="not \\(N, 80, 100, 84\\)"):
        next(windows(np.zeros((1, 4, 5, 6), np.float32), None, network, "cpu"))
    with pytest.raises(ValueError, match="masks of shape"):
        next(windows(made_crops(), np.zeros((2, *SHAPE), bool), network, "cpu"))


def test_every_crop_is_read():
    read = judge_crops(made_crops(2))
    assert {name: values.shape for name, values in read.items()} == {
        "age": (2,),
        "male": (2,),
        "ventricles": (2,),
    }
    assert read["age"][0] == read["age"][1]
    assert (read["male"] >= 0).all()
    assert (read["male"] <= 1).all()
