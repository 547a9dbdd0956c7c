"""Outlines: green as drawn, red as found, on the scan."""

from __future__ import annotations

import numpy as np
from training.judges.lesions.drawing import APART, ENLARGED, heights, outlined, outlines


def test_drawn_is_green_found_is_red_and_the_rest_grey():
    scan = np.full((10, 12), 0.6)
    truth, found = np.zeros((10, 12), bool), np.zeros((10, 12), bool)
    truth[2:5, 2:5] = True
    found[6:9, 7:10] = True
    picture = outlined(scan, truth, found)
    assert picture.shape == (12 * ENLARGED, 10 * ENLARGED, 3)
    np.testing.assert_allclose(picture[0, 0], 0.5)
    # Voxel (2, 2): right side of the picture, near its lower edge.
    corner = picture[(11 - 2) * ENLARGED + ENLARGED - 1, (9 - 2) * ENLARGED + ENLARGED - 1]
    np.testing.assert_allclose(corner, [0, 1, 0])
    reds = (picture[..., 0] == 1).any(axis=1)
    assert np.flatnonzero(reds).tolist() == list(range((11 - 9) * ENLARGED, (12 - 7) * ENLARGED))


def test_slices_with_most_lesion_and_not_side_by_side():
    truth = np.zeros((4, 4, 30), bool)
    truth[:, :, 10] = truth[:, 0, 11] = truth[0, 0, 20] = True
    assert heights(truth, 4) == [10, 20]
    assert APART <= 20 - 10
    assert heights(truth, 1) == [10]
    picture = outlines([np.ones(truth.shape, np.float32)] * 2, [truth] * 2, truth)
    assert picture.shape == (2 * 4 * ENLARGED + 2, 2 * 4 * ENLARGED + 2, 3)
