"""Nearest neighbours, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medsyn.evaluation.memorisation import nearest, nearness


def test_the_nearest_and_how_near():
    train = np.array([[0.0, 0.0], [10.0, 10.0]])
    distances, which = nearest(np.array([[3.0, 1.0], [10.0, 10.0]]), train)
    assert which.tolist() == [0, 1]
    assert distances.tolist() == pytest.approx([np.sqrt(5), 0])


def test_a_copy_is_found_also_where_images_are_large_and_bright():
    rng = np.random.default_rng(0)
    train = (1000 + rng.standard_normal((3, 5000))).astype(np.float32)
    copy = train[1:2] + np.float32(1e-3)
    distances, which = nearest(copy, train)
    assert which[0] == 1
    assert distances[0] == pytest.approx(1e-3, rel=0.1)


def test_people_who_are_new_are_as_far_as_test_people(rng):
    train, test, new = (rng.standard_normal((40, 20)) for _ in range(3))
    found = nearness(new, test, train)
    assert 0.9 < found.ratio < 1.1
    assert found.copies <= 0.15


def test_copies_are_told(rng):
    train, test = rng.standard_normal((40, 20)), rng.standard_normal((30, 20))
    found = nearness(train[:10] + 0.01, test, train)
    assert found.ratio < 0.05
    assert found.closest < 0.05
    assert found.copies == 1


def test_a_split_that_leaks_is_refused(rng):
    train = rng.standard_normal((5, 3))
    with pytest.raises(ValueError, match="leaks"):
        nearness(train, train[:2], train)


@pytest.mark.parametrize(("rows", "says"), [((2, 3), "no distance"), ((0, 4), "without people")])
def test_sets_without_distance_are_refused(rows, says):
    with pytest.raises(ValueError, match=says):
        nearest(np.zeros(rows), np.zeros((2, 4)))
