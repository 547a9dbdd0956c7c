from __future__ import annotations

import nibabel
import numpy as np
import pytest
from training.data.grids import GRID_SHAPE, model_affine, to_model_grid, to_ras


def test_to_model_grid_keeps_every_voxel_at_its_place(rng):
    volume = rng.integers(1, 99, (182, 218, 182)).astype(np.int16)
    affine = np.array([[-1.0, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]])
    out = to_model_grid(volume, affine)
    assert out.shape == GRID_SHAPE
    assert out.dtype == np.int16
    for voxel in ((0, 0, 2), (80, 100, 60), (159, 191, 159)):
        world = nibabel.affines.apply_affine(model_affine(), voxel)
        source = nibabel.affines.apply_affine(np.linalg.inv(affine), world)
        assert out[voxel] == volume[tuple(np.round(source).astype(int))]
    # The released grid begins at z = -72, the model's at -74.
    assert not out[:, :, :2].any()


def test_other_voxels_do_not_fit():
    with pytest.raises(ValueError, match="1 mm"):
        to_model_grid(np.zeros((4, 4, 4)), np.diag([2.0, 2, 2, 1]))


def test_to_ras_is_nibabel_s(rng):
    volume = rng.integers(0, 99, (5, 6, 7)).astype(np.int16)
    affine = np.array([[-2.0, 0, 0, 9], [0, -3, 0, 4], [0, 0, 4, -7], [0, 0, 0, 1]])
    expected = nibabel.as_closest_canonical(nibabel.Nifti1Image(volume, affine))
    turned, new_affine = to_ras(volume[None], affine)
    assert np.array_equal(turned[0], np.asarray(expected.dataobj))
    assert np.array_equal(new_affine, expected.affine)


def test_oblique_axes_are_refused():
    affine = np.eye(4)
    affine[0, 1] = 0.1
    with pytest.raises(ValueError, match="oblique"):
        to_ras(np.zeros((2, 2, 2)), affine)
