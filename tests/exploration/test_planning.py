from __future__ import annotations

import numpy as np
import pytest

from napari_medsyn.exploration.planning import PLANES_PER_SLAB, Filling, slab_axis, split
from napari_medsyn.exploration.requests import Viewport
from napari_medsyn.models.family import Region
from napari_medsyn.scans.geometry import Grid


class Prepared:
    """Ten thick planes along `axis`, plane k needs model slices 3 k - 1 to 3 k + 1; 30 slices.

    The brain lies in slices 6 to 20.
    """

    def __init__(self, axis: int = 2, planes: int = 10) -> None:
        directions = np.roll(np.diag([1.0, 1.0, 3.0]), axis - 2, axis=1)
        affine = np.eye(4)
        affine[:3, :3] = directions
        shape = [8, 8, 8]
        shape[axis] = planes
        self.reference = Grid(tuple(shape), affine)
        self.grid = Grid((8, 8, 3 * planes), np.eye(4))
        self.to_model = np.eye(4)
        self.mask = np.zeros(self.grid.shape, bool)
        self.mask[3, 4, 6:21] = True
        self.axis = axis

    def model_slices(self, axis: int, start: int, stop: int) -> range:
        assert axis == self.axis
        return range(3 * start - 1, 3 * (stop - 1) + 2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slabs_follow_the_reference_axis_along_the_models_slices(axis):
    assert slab_axis(Prepared(axis)) == axis


def test_thick_planes_do_not_pass_for_a_direction():
    """A scan of 10 mm sagittal planes, tilted: an mm along them moves 0.5 slices at most."""
    prepared = Prepared()
    tilt = np.radians(30)
    prepared.reference = Grid(
        (8, 8, 8),
        np.array(
            [
                [np.cos(tilt) * 10, 0, -np.sin(tilt), 0],
                [0, 1, 0, 0],
                [np.sin(tilt) * 10, 0, np.cos(tilt), 0],
                [0, 0, 0, 1],
            ]
        ),
    )
    assert slab_axis(prepared) == 2


def test_only_slices_with_brain_are_computed():
    filling = Filling(Prepared(), None)
    assert (filling.total, filling.done) == (15, 0)
    assert filling.order() == ([], list(range(6, 21)))


def test_what_is_on_screen_comes_first_and_the_rest_outwards():
    first, rest = Filling(Prepared(), Viewport(2, 3)).order()
    assert first == [8, 9, 10]
    assert rest == [9, 8, 10, 7, 11, 6, 12, 13, 14, 15, 16, 17, 18, 19, 20]


def test_a_plane_at_the_rim_of_the_brain_needs_only_slices_with_brain():
    first, rest = Filling(Prepared(), Viewport(2, 7)).order()
    assert first == [20]
    assert rest[:3] == [20, 19, 18]


@pytest.mark.parametrize("index", [-4, 0, 99])
def test_a_plane_without_brain_or_beyond_the_scan_needs_nothing(index):
    first, rest = Filling(Prepared(), Viewport(2, index)).order()
    assert first == []
    assert sorted(rest) == list(range(6, 21))


def test_planes_across_the_slices_begin_in_the_middle():
    first, rest = Filling(Prepared(), Viewport(0, 3)).order()
    assert first == []
    assert rest[:3] == [13, 12, 14]


def test_the_plane_on_screen_is_handed_on_as_soon_as_it_is_whole():
    filling = Filling(Prepared(), Viewport(2, 3))
    filling.mark([9, 8])
    assert filling.next_runs() == []
    filling.mark([10])
    assert filling.next_runs() == [(3, 4)]
    assert filling.next_runs() == []


def test_the_rest_is_handed_on_once_in_runs_and_without_background():
    filling = Filling(Prepared(), Viewport(2, 3))
    filling.mark(range(8, 11))
    filling.next_runs()
    filling.mark(range(6, 21))
    # Planes 2 to 7 show brain; plane 3 was handed on.
    assert filling.next_runs() == []
    assert filling.next_runs(flush=True) == [(2, 3), (4, 8)]
    assert filling.next_runs(flush=True) == []
    assert filling.done == filling.total


def test_long_runs_are_handed_on_while_the_rest_is_computed():
    prepared = Prepared(planes=40)
    prepared.mask[:] = True
    filling = Filling(prepared, None)
    filling.mark(range(3 * PLANES_PER_SLAB - 2))
    assert filling.next_runs() == []
    filling.mark([3 * PLANES_PER_SLAB - 2])
    assert filling.next_runs() == [(0, PLANES_PER_SLAB)]


def test_looking_elsewhere_changes_the_order_of_what_is_left():
    filling = Filling(Prepared(), Viewport(2, 3))
    filling.mark([8, 9, 10])
    assert not filling.look_at(Viewport(2, 3))
    assert filling.look_at(Viewport(2, 6))
    first, rest = filling.order()
    assert first == [17, 18, 19]
    assert rest[:3] == [18, 17, 19]
    assert 9 not in rest


def test_splitting_keeps_slices_and_their_order():
    regions = [Region((4, 5, 3)), Region((1,)), Region((9, 8))]
    assert [r.slices for r in split(regions, 2)] == [(4, 5), (3,), (1,), (9, 8)]


def test_a_step_keeps_its_words_when_memory_is_short():
    regions = [Region((), "Denoising 1 of 2"), Region((4, 5, 6), "Decoding")]
    assert split(regions, 2) == [
        Region((), "Denoising 1 of 2"),
        Region((4, 5), "Decoding"),
        Region((6,), "Decoding"),
    ]
