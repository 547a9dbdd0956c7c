"""Slices of 3.2 mm: the same head at the same place, without a pattern."""

from __future__ import annotations

import numpy as np
from training.mssg.stack.slices import FIRST, PIXEL_MM, SLICES, grid, resampling, sliced

from napari_medsyn.models.mssg.lattice import SHAPE
from napari_medsyn.registry.parts import GridCard


def test_what_is_even_stays_even() -> None:
    """Weights that add up to 1 in one pixel and 1.1 in the next draw a chessboard."""
    made = sliced(np.full(SHAPE, 0.8, np.float32))
    assert made.shape == (SLICES, 64, 64)
    np.testing.assert_allclose(made[:, 12:-12, 12:-12], 0.8, atol=1e-6)
    assert made[:, :6].max() == 0


def test_a_ramp_stays_a_ramp() -> None:
    x_mm = 2.0 * np.arange(SHAPE[0], dtype=np.float32)
    pixels = resampling(SHAPE[0])[20:44] @ x_mm
    np.testing.assert_allclose(np.diff(pixels), PIXEL_MM, atol=0.5)


def test_a_voxel_is_found_where_the_card_s_grid_says() -> None:
    """Centre of mass in MNI152: of a block around a voxel, and of its slices by the card."""
    volume = np.zeros(SHAPE, np.float32)
    volume[22:27, 60:65, 40] = 1.0
    # Voxel (24, 62, 40) of the crop is (29, 67, 40) of the whole grid.
    at_mm = np.array([-90.5, -125.5, -71.5]) + 2 * np.array([29, 67, 40])
    made = np.moveaxis(sliced(volume), 0, 2)
    index = np.array([np.average(axis, weights=made) for axis in np.indices(made.shape)])
    found = GridCard.model_validate(grid()).grid().affine @ [*index, 1]
    np.testing.assert_allclose(found[:3], at_mm, atol=0.1)


def test_slices_begin_with_the_first_that_is_used() -> None:
    volume = np.zeros(SHAPE, np.float32)
    volume[40, 50, FIRST] = 1.0
    assert sliced(volume)[0].max() > 0
    assert sliced(volume)[1:].max() == 0
