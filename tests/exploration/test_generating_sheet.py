"""The contact sheet: where each sample is, and the mark in the border."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_medsyn.exploration.generating_sheet import MOST, TILE, Sheet
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.picture_files import read_picture

RECORD = {"SYNTHETIC": True, "model": "painter", "seed": 5, "controls": {}}


def sample_of(image: np.ndarray, affine: np.ndarray | None = None, outputs=("MG",)):
    grid = Grid(image.shape, np.eye(4) if affine is None else affine)
    images = dict.fromkeys(outputs, image)
    return SimpleNamespace(images=images, reference=SimpleNamespace(grid=grid))


def sample(value: float, shape=(40, 30, 1), outputs=("MG",)):
    return sample_of(np.full(shape, value, np.float32), outputs=outputs)


def test_samples_stand_in_rows(tmp_path):
    sheet = Sheet(3)
    for value in (0.2, 0.4, 0.6):
        sheet.add(sample(value))
    pixels = sheet.pixels("")
    # Border 24, gap 4; pictures of 30 rows and 40 columns, two in a row.
    for (row, column), value in {(0, 0): 51, (0, 1): 102, (1, 0): 153}.items():
        top, left = 24 + 4 + 34 * row, 4 + 44 * column
        assert (pixels[top : top + 30, left : left + 40] == value).all()
    assert pixels.shape == (2 * 24 + 2 * 34 + 4, 480)


def test_the_mark_is_drawn_above_and_below_the_samples(tmp_path):
    sheet = Sheet(1)
    sheet.add(sample(0.0))
    plain, marked = sheet.pixels(""), sheet.pixels("SYNTHETIC")
    changed = np.argwhere(plain != marked)[:, 0]
    assert (changed < 24).any()
    assert (changed >= plain.shape[0] - 24).any()
    assert ((changed < 24) | (changed >= plain.shape[0] - 24)).all()


def test_the_file_is_marked_too(tmp_path):
    sheet = Sheet(1)
    sheet.add(sample(0.5))
    picture = read_picture(sheet.write(tmp_path / "sheet.png", RECORD))
    assert picture.is_synthetic
    assert picture.marks["shows"] == "n = 1"
    assert picture.marks["seed"] == "5"


def test_of_very_many_samples_the_first_are_shown(tmp_path):
    sheet = Sheet(10 * MOST)
    for _ in range(MOST + 5):
        sheet.add(sample(1.0, shape=(2, 2, 1)))
    picture = read_picture(sheet.write(tmp_path / "sheet.png", RECORD))
    assert picture.marks["shows"] == f"{MOST} of {10 * MOST} samples"


@pytest.mark.parametrize("shape", [(533, 250, 1), (521, 160, 9)])
def test_large_samples_are_made_small(shape):
    sheet = Sheet(1)
    sheet.add(sample(0.6, shape))
    pixels = sheet.pixels("")
    assert pixels.shape[0] <= TILE + 2 * 24 + 8
    assert pixels[24 + 10, 4 + 10] == 153


def test_of_a_volume_the_middle_axial_slice_is_shown():
    image = np.zeros((8, 6, 5), np.float32)
    image[:, :, 2] = 0.4
    sheet = Sheet(1)
    sheet.add(sample_of(image))
    assert sheet.pixels("")[24 + 4, 4] == 102


def test_outputs_stand_side_by_side():
    sheet = Sheet(1)
    sheet.add(sample(0.2, outputs=("T1", "FLAIR")))
    assert (sheet.pixels("")[28:58, 4:84] == 51).all()


def test_right_is_left_and_anterior_up_whatever_the_order_of_the_axes():
    # Axes of the array: posterior, inferior, right; 2 x 2 x 1 mm.
    image = np.zeros((6, 4, 10), np.float32)
    image[0, :, 9] = 1.0  # anterior, right
    affine = np.array([[0, 0, 1, 0], [-2, 0, 0, 0], [0, -2, 0, 0], [0, 0, 0, 1]], float)
    sheet = Sheet(1)
    sheet.add(sample_of(image, affine))
    tile = sheet.pixels("")[28:40, 4:14]  # 12 mm down, 10 mm across
    bright = np.argwhere(tile == 255).tolist()
    assert bright == [[0, 0], [1, 0]]  # 2 mm down, 1 mm across


def test_the_end_of_a_long_mark_is_not_cut_off():
    sheet = Sheet(1)
    sheet.add(sample(0.0, shape=(32, 32, 1)))
    # Both end in one letter; on a sheet of the least width neither would be seen.
    one, other = sheet.pixels("SYNTHETIC" * 20 + "W"), sheet.pixels("SYNTHETIC" * 20 + ".")
    assert (one > 24).sum() > (other > 24).sum()


def test_the_largest_sheet_can_be_read_again(tmp_path):
    outputs = tuple(f"M{n}" for n in range(16))
    sheet = Sheet(MOST)
    for _ in range(MOST):
        sheet.add(sample(0.5, shape=(300, 300, 1), outputs=outputs))
    assert read_picture(sheet.write(tmp_path / "sheet.png", RECORD)).is_synthetic
