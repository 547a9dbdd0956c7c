"""Pictures on grids."""

from __future__ import annotations

import numpy as np

from napari_medsyn.scans.pictures import to_grid, to_picture


def test_the_top_left_pixel_lies_at_the_left_and_up() -> None:
    picture = np.array([[1, 2, 3], [4, 5, 6]])

    array = to_grid(picture)

    assert array.shape == (3, 2, 1)
    assert array[0, 1, 0] == 1  # left, upper end of the axis that runs up
    assert array[2, 0, 0] == 6  # right, lower end


def test_there_and_back() -> None:
    picture = np.arange(12).reshape(3, 4)

    np.testing.assert_array_equal(to_picture(to_grid(picture)), picture)
