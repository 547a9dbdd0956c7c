"""Display order: S, P, L with scale and translate only, and the exact way back."""

from __future__ import annotations

from itertools import permutations, product

import nibabel
import numpy as np
import pytest
from tests._builders import make_affine, make_scan

from napari_medsyn.scans.display import (
    display_affine,
    display_order,
    from_display,
    tilt_text,
    to_display,
)

ORIENTATIONS = [
    "".join(letters) for pairs in permutations(("RL", "AP", "SI")) for letters in product(*pairs)
]
AFFINES = {letters: make_affine(letters) for letters in ORIENTATIONS}
TILTED = {
    "tilted": make_affine("LPS", tilt_degrees=12),
    "tilted sagittal": make_affine("PIR", tilt_degrees=-31),
    "sheared": make_affine("LAS", shear=0.3),
    "both": make_affine("SRA", tilt_degrees=20, shear=-0.2),
}
#: S, P, L in RAS+ world.
SPL = np.array([[0, 0, 1], [0, -1, 0], [-1, 0, 0]])


def test_there_are_48_axis_orders() -> None:
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("affine", (AFFINES | TILTED).values(), ids=(AFFINES | TILTED).keys())
def test_there_and_back_to_the_byte(affine) -> None:
    scan = make_scan(affine=affine)
    shown = to_display(scan)
    back = from_display(shown.array, scan)
    assert back.tobytes() == scan.voxels.tobytes()
    assert back.shape == scan.voxels.shape
    assert np.shares_memory(back, scan.voxels)
    # A result computed in display order finds its way as well.
    result = np.ascontiguousarray(shown.array)
    assert from_display(result, scan).tobytes() == scan.voxels.tobytes()


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES.keys())
def test_every_voxel_is_shown_where_it_lies(affine) -> None:
    scan = make_scan(affine=affine)
    shown = to_display(scan)
    assert (shown.scale > 0).all()
    assert shown.tilt_degrees == pytest.approx(0, abs=1e-5)
    for index in ((0, 0, 0), (7, 0, 0), (0, 8, 0), (0, 0, 9), (3, 1, 4)):
        world = SPL @ (affine @ [*index, 1])[:3]
        at = (world - shown.translate) / shown.scale
        np.testing.assert_allclose(at, np.rint(at), atol=1e-9)
        assert shown.array[tuple(np.rint(at).astype(int))] == scan.voxels[index]


@pytest.mark.parametrize("letters", ["LAS", "PIR", "SRA"])
def test_the_axes_are_those_of_nibabel(letters: str) -> None:
    scan = make_scan(affine=make_affine(letters))
    image = nibabel.Nifti1Image(scan.voxels, scan.affine)
    wanted = nibabel.orientations.axcodes2ornt("SPL")
    turn = nibabel.orientations.ornt_transform(nibabel.io_orientation(scan.affine), wanted)
    expected = image.as_reoriented(turn)
    shown = to_display(scan)
    np.testing.assert_array_equal(shown.array, expected.dataobj)
    np.testing.assert_allclose(display_affine(shown.order), expected.affine, atol=1e-9)


def test_an_axial_ras_scan_by_hand() -> None:
    scan = make_scan((8, 9, 10), make_affine("RAS", (1, 1.25, 2.5), (-7, 11, -13)))
    shown = to_display(scan)
    assert shown.axis_order == (2, 1, 0)
    assert shown.flips == (False, True, True)
    assert shown.array.shape == (10, 9, 8)
    assert shown.scale.tolist() == [2.5, 1.25, 1]
    # S of the first slice; P and L of the most anterior and most right voxels.
    np.testing.assert_allclose(shown.translate, [-13, -(11 + 8 * 1.25), -(-7 + 7)], atol=1e-12)
    assert shown.array[0, 0, 0] == scan.voxels[7, 8, 0]


@pytest.mark.parametrize("affine", TILTED.values(), ids=TILTED.keys())
def test_a_tilted_scan_keeps_its_centre(affine) -> None:
    scan = make_scan(affine=affine)
    shown = to_display(scan)
    centre = SPL @ (affine @ [3.5, 4, 4.5, 1])[:3]
    middle = shown.translate + shown.scale * (np.array(shown.array.shape) - 1) / 2
    np.testing.assert_allclose(middle, centre, atol=1e-9)


def test_tilt_in_degrees_and_in_words() -> None:
    order = display_order(make_scan(affine=make_affine("LPS", tilt_degrees=12)).grid)
    assert order.tilt_degrees == pytest.approx(12)
    assert tilt_text(order) == "tilted 12°: slices follow the scanner, not the body axes"
    straight = display_order(make_scan(affine=make_affine("LPS", tilt_degrees=0.4)).grid)
    assert tilt_text(straight) == ""


@pytest.mark.parametrize("affine", (AFFINES | TILTED).values(), ids=(AFFINES | TILTED).keys())
def test_planes_slabs_and_points(affine) -> None:
    scan = make_scan(affine=affine)
    order = display_order(scan.grid)
    shown = order.to_display(scan.voxels)
    for axis in range(3):
        plane_axis, plane_index = order.to_array_plane(axis, 2)
        assert sorted(np.take(shown, 2, axis).ravel()) == sorted(
            np.take(scan.voxels, plane_index, plane_axis).ravel()
        )
        assert order.to_display_plane(plane_axis, plane_index) == (axis, 2)
        slab = np.take(scan.voxels, range(1, 4), axis)
        np.testing.assert_array_equal(
            shown[order.to_display_slab(axis, 1, 4)], order.to_display(slab)
        )
    points = np.array([[1, 2, 3], [0, 0, 0], [2.5, 4.25, 1]])
    np.testing.assert_allclose(order.index_to_array(order.index_to_display(points)), points)
    at = tuple(int(v) for v in order.index_to_display([1, 2, 3]))
    assert shown[at] == scan.voxels[1, 2, 3]
    world = (scan.affine @ [1, 2, 3, 1])[:3]
    np.testing.assert_allclose(order.world_to_display(world), at, atol=1e-9)
    np.testing.assert_allclose(order.display_to_world(at), world, atol=1e-9)
    np.testing.assert_allclose((display_affine(order) @ [*at, 1])[:3], world, atol=1e-9)
    assert order.shape == shown.shape
