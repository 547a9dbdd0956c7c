"""Judging crops against the judge itself, on healthy people that it never saw."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.judges import loaded, prepared_of
from training.judges import people

from napari_medsyn.evaluation.crops import LOW, SHAPE, brains_of, judge_crops

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def crops(shared):
    """Volumes, brains and the judge's own readings of three people of the test part."""
    folk = people.load(shared / "data", people.test_people()[:3])
    cut = tuple(slice(low, low + n) for low, n in zip(LOW, SHAPE, strict=True))
    volumes = np.stack([folk.volume(i)[cut] for i in range(3)])
    judge = loaded("judge-covariates-t1")
    told = [judge.read(prepared_of(folk, i, biased=False)).readings for i in range(3)]
    return volumes, folk.brain[(slice(None), *cut)], told


def test_a_crop_holds_the_whole_brain(crops):
    volumes, brain, _ = crops
    found = brains_of(volumes)
    assert 2 * (found & brain).sum() / (found.sum() + brain.sum()) > 0.999


@pytest.mark.parametrize(
    ("exact", "years", "ml"), [(True, 0.05, 0.05), (False, 0.15, 0.15)], ids=["float32", "fastest"]
)
def test_a_crop_is_read_as_the_whole_volume_is(crops, exact, years, ml):
    volumes, brain, told = crops
    read = judge_crops(volumes, brain, exact=exact)
    np.testing.assert_allclose(read["age"], [t["age"] for t in told], atol=years)
    np.testing.assert_allclose(read["male"], [t["male"] for t in told], atol=0.01)
    np.testing.assert_allclose(read["ventricles"], [t["ventricles"] for t in told], atol=ml)


def test_the_mask_is_not_needed_where_all_around_is_zero(crops):
    volumes, brain, _ = crops
    with_mask, without = judge_crops(volumes[:1], brain[:1]), judge_crops(volumes[:1])
    np.testing.assert_allclose(without["age"], with_mask["age"], atol=0.1)
    np.testing.assert_allclose(without["ventricles"], with_mask["ventricles"], atol=0.1)
