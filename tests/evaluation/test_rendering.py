from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
from tests.evaluation._toy import SHAPE, Toy, subject_of, toy_card, voxel

from napari_medsyn.evaluation.rendering import OutOfTime, Rendering, Subject


@pytest.fixture
def toy():
    return Toy(toy_card())


def rendering(value, shape=(2, 2, 1), name="T1"):
    return Rendering({name: np.full(shape, value, np.float32)}, {}, 0.0, 0.0)


def test_slices_come_in_the_order_asked_for(toy):
    given = subject_of(toy).render(slices=(4, 1, 5)).mean["T1"]
    assert given.shape == (*SHAPE[:2], 3)
    np.testing.assert_allclose(given[0, 0], [voxel(4), voxel(1), voxel(5)], rtol=1e-6)
    assert toy.rendered == [(), (4, 1), (5,)]


def test_all_slices_are_rendered_of_nobody_with_the_changes(toy):
    given = subject_of(toy).render({"level": 1.0})
    expected = [voxel(k) + 0.1 for k in range(SHAPE[2])]
    np.testing.assert_allclose(given.mean["T1"][3, 4], expected, rtol=1e-6)
    assert 0 <= given.longest <= given.seconds


def test_of_a_patient_the_fullest_slices_are_looked_at(toy):
    mask = np.zeros(SHAPE, bool)
    mask[:2, :, 1] = mask[:, :, 4] = True
    mask[0, 0, 2] = True
    subject = Subject(toy.card, toy, SimpleNamespace(mask=mask), {})
    assert subject.slices == (1, 4)


def test_nothing_is_rendered_after_the_deadline(toy):
    subject = Subject(toy.card, toy, None, subject_of(toy).controls, time.monotonic() - 1)
    with pytest.raises(OutOfTime):
        subject.render()
    assert toy.rendered == []


def test_distance_is_the_largest_difference_anywhere():
    assert rendering(0.5).distance(rendering(0.5)) == 0
    assert rendering(0.5).distance(rendering(0.25)) == 0.25
    assert rendering(0.5).distance(rendering(np.nan)) == np.inf
    assert rendering(0.5).distance(rendering(0.5, (2, 2, 2))) == np.inf
    assert rendering(0.5).distance(rendering(0.5, name="T2")) == np.inf
    spread = {"T1": np.full((2, 2, 1), 0.125, np.float32)}
    plain = rendering(0.5)
    one = Rendering(plain.mean, spread, 0.0, 0.0)
    other = Rendering(plain.mean, {"T1": spread["T1"] + 0.5}, 0.0, 0.0)
    assert one.distance(other) == 0.5
