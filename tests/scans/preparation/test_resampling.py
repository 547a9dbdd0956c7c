"""Cropping is exact, interpolation agrees with SimpleITK, planes agree with the whole."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from tests._builders import make_affine, make_voxels

from napari_medsyn.scans.geometry import LPS_TO_RAS, Grid
from napari_medsyn.scans.preparation.resampling import (
    as_crop,
    index_map,
    inverse,
    needed_range,
    resample,
    select_planes,
)

SHAPE = (8, 9, 10)


def all_orientations():
    letters = (("R", "L"), ("A", "P"), ("S", "I"))
    for order in permutations(range(3)):
        for flips in product((0, 1), repeat=3):
            yield "".join(letters[axis][flip] for axis, flip in zip(order, flips, strict=True))


@pytest.mark.parametrize("orientation", [*all_orientations()])
def test_any_orientation_is_brought_upright_bit_for_bit(orientation):
    voxels = make_voxels(SHAPE)
    given = Grid(SHAPE, make_affine(orientation, (2, 2, 2), origin=(4, -6, 8)))
    wanted = Grid((30, 30, 30), make_affine("RAS", (2, 2, 2), origin=(-26, -26, -26)))
    to_source = index_map(given, wanted)
    assert as_crop(to_source, SHAPE, wanted.shape) is not None
    out = resample(voxels, to_source, wanted.shape)
    # Voxel by voxel by the affines, with nothing of the code under test.
    for index in np.ndindex(SHAPE):
        world = given.affine @ [*index, 1]
        i, j, k = np.round(np.linalg.solve(wanted.affine, world)[:3]).astype(int)
        assert out[i, j, k] == voxels[index]
    assert np.count_nonzero(out) == np.count_nonzero(voxels)


def test_a_crop_that_misses_the_volume_is_empty():
    to_source = np.eye(4)
    to_source[:3, 3] = (50, 0, 0)
    assert not resample(make_voxels(SHAPE), to_source, SHAPE).any()


def test_rounding_errors_of_an_affine_do_not_cost_exactness():
    given = Grid(SHAPE, make_affine("LPS", (0.9375, 0.9375, 3.3), origin=(119.53, 78.1, -60.07)))
    moved = given.affine.copy()
    moved[:3, 3] += given.affine[:3, 1] * 3 + 1e-9
    assert as_crop(index_map(given, Grid(SHAPE, moved)), SHAPE, SHAPE) is not None
    moved[:3, 3] += 0.1
    assert as_crop(index_map(given, Grid(SHAPE, moved)), SHAPE, SHAPE) is None


def test_linear_interpolation_agrees_with_simpleitk():
    import SimpleITK as sitk

    given = Grid(SHAPE, make_affine("LPS", (2, 2.5, 3)))
    wanted = Grid((7, 6, 5), make_affine("RAS", (1.5, 2, 2), origin=(-20, 0, -5), tilt_degrees=9))
    voxels = make_voxels(SHAPE).astype(np.float32)

    def image(grid, array):
        lps = LPS_TO_RAS @ grid.affine
        made = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
        made.SetSpacing(grid.spacing.tolist())
        made.SetDirection((lps[:3, :3] / grid.spacing).ravel().tolist())
        made.SetOrigin(lps[:3, 3].tolist())
        return made

    expected = sitk.Resample(
        image(given, voxels), image(wanted, np.zeros(wanted.shape, np.float32)),
        sitk.Transform(), sitk.sitkLinear, -1.0,
    )  # fmt: skip
    expected = sitk.GetArrayFromImage(expected).transpose(2, 1, 0)
    found = resample(voxels, index_map(given, wanted), wanted.shape)
    index = np.stack(np.meshgrid(*map(np.arange, wanted.shape), indexing="ij"), axis=-1)
    to_given = inverse(given.affine) @ wanted.affine
    points = index @ to_given[:3, :3].T + to_given[:3, 3]
    inside = ((points > 0) & (points < np.array(SHAPE) - 1)).all(axis=-1)
    assert inside.sum() > 50
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("order", [1, 3])
def test_planes_are_those_of_the_whole(axis, order):
    given = Grid((20, 22, 24), make_affine("RAS", (2, 2, 2)))
    wanted = Grid((15, 16, 17), make_affine("LPS", (2, 2, 3), origin=(20, 40, 0), tilt_degrees=14))
    voxels = make_voxels(given.shape).astype(np.float32)
    to_source = index_map(given, wanted)
    whole = resample(voxels, to_source, wanted.shape, order=order, average=False)
    for start, stop in ((0, 1), (7, 8), (3, 11)):
        planes = resample(
            voxels,
            *select_planes(to_source, wanted.shape, axis, start, stop),
            order=order,
            average=False,
        )
        np.testing.assert_allclose(
            planes, whole.take(range(start, stop), axis), rtol=1e-5, atol=2e-3
        )


def test_needed_range_holds_every_plane_that_counts():
    given = Grid((20, 22, 24), make_affine("RAS", (2, 2, 2)))
    wanted = Grid((9, 9, 9), make_affine("LPS", (2, 2, 3), origin=(20, 40, 0), tilt_degrees=14))
    to_source = index_map(given, wanted)
    voxels = make_voxels(given.shape).astype(np.float32)
    reach = needed_range(to_source, wanted.shape, 2, 24)
    assert 0 < len(reach) < 24
    other = np.ones(24, bool)
    other[reach.start : reach.stop] = False
    changed = np.where(other, np.float32(-1), voxels)
    np.testing.assert_array_equal(
        resample(changed, to_source, wanted.shape, average=False),
        resample(voxels, to_source, wanted.shape, average=False),
    )


def test_coarser_voxels_take_the_mean_and_do_not_alias():
    # A pattern of one voxel's width is gone at four times the size; its mean stays.
    voxels = np.indices((64, 8, 8))[0] % 2 * 100.0
    to_source = np.diag([4.0, 1.0, 1.0, 1.0])
    out = resample(voxels, to_source, (16, 8, 8))[3:-3]
    np.testing.assert_allclose(out, 50, atol=1)
    assert resample(voxels, to_source, (16, 8, 8), average=False)[3:-3].max() == 0
