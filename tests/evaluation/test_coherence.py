"""Smoothness through the plane, on volumes of known steps."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medsyn.evaluation.coherence import through_plane

ALL = np.ones((4, 5, 6), bool)


def ramp(x, y, z):
    grid = np.meshgrid(np.arange(4), np.arange(5), np.arange(6), indexing="ij")
    return x * grid[0] + y * grid[1] + z * grid[2]


def test_a_ramp_by_hand():
    assert through_plane(ramp(1.0, 1.0, 1.0), ALL) == pytest.approx(1)
    assert through_plane(ramp(1.0, 1.0, 3.0), ALL) == pytest.approx(3)
    # 3 x 5 x 6 = 90 pairs along X, 4 x 4 x 6 = 96 along Y.
    expected = 2 / ((90 * 1 + 96 * 4) / 186)
    assert through_plane(ramp(1.0, 4.0, 2.0), ALL) == pytest.approx(expected)


def test_slices_of_their_own_jump(rng):
    within = np.cumsum(rng.standard_normal((4, 5, 6)), axis=0)
    assert through_plane(within + 50 * rng.standard_normal(6), ALL) > 5


def test_what_is_outside_the_brain_does_not_count():
    brain = ALL.copy()
    brain[0] = False
    volume = ramp(1.0, 1.0, 1.0)
    volume[0] = 1000
    assert through_plane(volume, brain) == pytest.approx(1)


def test_a_brain_without_pairs_is_refused():
    brain = np.zeros_like(ALL)
    brain[:, :, 2] = True
    with pytest.raises(ValueError, match="above each other"):
        through_plane(ramp(1.0, 1, 1), brain)
    with pytest.raises(ValueError, match="nothing changes"):
        through_plane(ramp(0.0, 0, 1), ALL)
