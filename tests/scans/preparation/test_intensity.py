"""0 stays 0, the 99.5th percentile becomes 1; what cannot be scaled is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from tests._builders import make_affine, make_scan

from napari_medsyn.errors import Cancelled, UnusableStudy
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.preparation.intensity import (
    IntensityScale,
    correct_bias_field,
    finite,
    scale_of,
)


def test_the_percentile_becomes_one():
    values = np.arange(1001.0)
    assert scale_of(make_scan(), values) == IntensityScale(0.0, 995.0)


def test_normalised_intensity_is_clipped_and_comes_back():
    scale = IntensityScale(0.0, 200.0)
    normalised = scale.normalise(np.array([-5, 0, 100, 200, 900], np.int16))
    assert normalised.dtype == np.float32
    np.testing.assert_allclose(normalised, [0, 0, 0.5, 1, 1.5])
    np.testing.assert_allclose(scale.restore(normalised), [0, 0, 100, 200, 300])


@pytest.mark.parametrize("values", [np.array([]), np.zeros(9), np.full(9, 3.0)])
def test_what_has_no_scale_is_refused_by_name(values):
    with pytest.raises(UnusableStudy, match=r"^kidney: "):
        scale_of(make_scan(name="kidney"), values)


def test_nan_infinity_and_negative_values_become_zero():
    given = np.array([[[np.nan, np.inf, -np.inf, -3.0, 2.0]]])
    np.testing.assert_array_equal(finite(given), [[[0, 0, 0, 0, 2]]])
    np.testing.assert_array_equal(finite(np.array([[[-3, 2]]], np.int16)), [[[0, 2]]])
    good = np.ones((2, 2, 2), np.float32)
    assert finite(good) is good


def bright_on_one_side():
    shape = (40, 36, 32)
    ramp = np.linspace(0.7, 1.3, shape[0])[:, None, None]
    distance = sum(((np.indices(shape)[a] - n / 2) / (0.42 * n)) ** 2 for a, n in enumerate(shape))
    mask = distance < 1
    stripes = 100 + 40 * (np.indices(shape)[1] // 4 % 2)
    return stripes * ramp * mask, mask, stripes, Grid(shape, make_affine("RAS", (2, 2, 2)))


def test_n4_takes_most_of_a_known_bias_field_away():
    voxels, mask, truth, grid = bright_on_one_side()
    corrected = correct_bias_field(voxels, mask, grid)

    def unevenness(values):
        return np.std((values / truth)[mask]) / np.mean((values / truth)[mask])

    assert unevenness(corrected) < 0.35 * unevenness(voxels)


def test_n4_can_be_stopped_and_needs_a_mask():
    voxels, mask, _, grid = bright_on_one_side()
    with pytest.raises(Cancelled):
        correct_bias_field(voxels, mask, grid, lambda: True)
    np.testing.assert_array_equal(
        correct_bias_field(voxels, np.zeros_like(mask), grid), voxels.astype(np.float32)
    )
