"""The arithmetic of the benchmark of realism, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.mssg_realism import Brains, coherence, distances, halved, halves, neighbours

from napari_medsyn.evaluation.features import BrainFeatures


def brains(rng, n=24, shift=0.0, smooth=1.0):
    slabs = rng.standard_normal((4 * n, 3)) + shift
    owner = np.repeat(np.arange(n), 4)
    features = BrainFeatures(slabs[::4], slabs, owner, np.tile(np.arange(4), n))
    return Brains(features, rng.standard_normal((n, 50)), np.full(n, smooth))


def test_half_the_resolution_is_the_mean_of_eight_voxels():
    volumes = np.zeros((1, 4, 2, 2), np.float32)
    volumes[0, :2] = np.arange(8).reshape(2, 2, 2)
    assert halved(volumes).tolist() == [[3.5, 0.0]]


def test_people_who_are_alike_are_near_and_others_far(rng):
    real = brains(rng)
    near, far = distances("near", brains(rng), real), distances("far", brains(rng, shift=2), real)
    assert near["FID slab"] < 0.5 < 8 < far["FID slab"]
    assert abs(near["KID slab"]) < 1 < far["KID slab"]
    assert near["spread"] == pytest.approx(1, abs=0.5)
    assert halves(real)["FID slab"] < 1


def test_a_model_that_gives_one_person_has_no_spread(rng):
    real, one = brains(rng), brains(rng)
    alike = BrainFeatures(
        np.repeat(one.features.volume[:1], 24, axis=0),
        np.repeat(one.features.slab[:1], 96, axis=0),
        one.features.owner,
        one.features.position,
    )
    row = distances("one", Brains(alike, one.small, one.smoothness), real)
    assert row["spread"] == pytest.approx(0, abs=1e-9)


def test_copies_of_training_people_are_told_in_both_spaces(rng):
    train, test = brains(rng), brains(rng)
    for row in neighbours("copies", train, test, train):
        assert row["generated"] == 0
        assert row["nearer than anybody unseen"] == 1


@pytest.mark.parametrize(("smooth", "reached"), [(1.0, "yes"), (0.7, "no"), (1.4, "no")])
def test_smoothness_is_told_beside_that_of_real_people(rng, smooth, reached):
    row = coherence("m", brains(rng, smooth=smooth), brains(rng, smooth=1.0))
    assert row["ratio"] == pytest.approx(smooth)
    assert row["reached"] == reached
