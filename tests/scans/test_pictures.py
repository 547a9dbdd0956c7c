"""Pictures on grids."""

from __future__ import annotations

import numpy as np

from napari_medsyn.scans.display import display_order
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.pictures import to_grid, to_picture


def test_a_viewer_shows_the_picture_as_it_was() -> None:
    picture = np.array([[1, 2, 3], [4, 5, 6]])

    array = to_grid(picture)

    assert array.shape == (3, 2, 1)
    # Shown S, P, L: rows grow to posterior (down), columns to the patient's left.
    shown = display_order(Grid(array.shape, np.eye(4))).to_display(array)
    np.testing.assert_array_equal(shown[0], picture)


def test_there_and_back() -> None:
    picture = np.arange(12).reshape(3, 4)

    np.testing.assert_array_equal(to_picture(to_grid(picture)), picture)
