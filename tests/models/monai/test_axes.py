"""Tensors with axes in any direction become volumes with axes to the right, front and top."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform

from napari_medsyn.models.monai.axes import check_orientation, ras_shape, to_ras
from napari_medsyn.scans.pictures import to_grid

VOLUME = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "PSR", "IRA", "SLP"])
def test_volumes_are_turned_as_nibabel_turns_them(codes: str) -> None:
    transform = ornt_transform(axcodes2ornt(tuple(codes)), axcodes2ornt(("R", "A", "S")))
    expected = nib.orientations.apply_orientation(VOLUME, transform)
    turned = to_ras(VOLUME, codes)
    np.testing.assert_array_equal(turned, expected)
    assert ras_shape(VOLUME.shape, codes) == turned.shape


def test_a_picture_of_monai_lies_as_pictures_do() -> None:
    # MONAI reads pictures with their columns first.
    picture = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(to_ras(picture.T, "LPS"), to_grid(picture))


def test_a_plane_gets_a_third_axis() -> None:
    assert to_ras(VOLUME[0], "RAS").shape == ras_shape((3, 4), "RAS") == (3, 4, 1)


@pytest.mark.parametrize("codes", ["RA", "RRS", "RLS", "XYZ", "RASA", "ras"])
def test_other_letters_are_refused(codes: str) -> None:
    with pytest.raises(ValueError, match="three letters"):
        check_orientation(codes)
