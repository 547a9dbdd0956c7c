"""Edits of the patient's own voxels, on the patient's own grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests import _builders
from tests.exploration._people import MM_PER_YEAR

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.editing import Editing
from napari_medsyn.models.family import Edit, Region, Rendered
from napari_medsyn.scans.geometry import Grid, to_world
from napari_medsyn.scans.preparation import PreparationOptions, prepare
from napari_medsyn.scans.study import Scan, Study

#: The model's grid: 2 mm, about the origin.
MODEL = Grid(
    (16, 18, 14), np.array([[2.0, 0, 0, -16], [0, 2, 0, -18], [0, 0, 2, -14], [0, 0, 0, 1]])
)

#: Patient grids around the origin: upright, oblique and flipped, thick slices.
GRIDS = {
    "model's own": MODEL,
    "upright": Grid((26, 28, 24), _builders.make_affine("RAS", (1, 1.1, 1.2), (-13, -15, -14))),
    "oblique": Grid(
        (27, 25, 26), _builders.make_affine("LPS", (1.1, 1.2, 1), (14, 15, -13), tilt_degrees=12)
    ),
    "thick": Grid((26, 30, 11), _builders.make_affine("LAI", (1, 1, 4.4), (13, -15, 22))),
}


def points(grid: Grid) -> np.ndarray:
    """(X, Y, Z, 3) world position of every voxel."""
    return to_world(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))


def patient(grid: Grid, voxels: np.ndarray, radius: float = 10.0) -> Study:
    """A T1 and its brain, a ball about the origin."""
    brain = np.linalg.norm(points(grid), axis=-1) < radius
    mask = Scan(brain.astype(np.uint8), grid.affine, modality="label", name="brain")
    return Study((Scan(voxels, grid.affine, modality="T1"), mask))


def prepared_of(study: Study):
    return prepare(study, MODEL, PreparationOptions(register="never"))


def edited(study, prepared, edit: Edit, axis: int = 2) -> dict[str, np.ndarray]:
    """All planes of all outputs, made in slabs of two."""
    editing = Editing(study, ["T1"], prepared, axis)
    editing.put(Rendered(Region(tuple(range(MODEL.shape[2]))), {}, edit=edit))
    planes = prepared.reference.shape[axis]
    slabs = [editing.planes(k, min(k + 2, planes)) for k in range(0, planes, 2)]
    return {name: np.concatenate([slab[name] for slab in slabs], axis) for name in slabs[0]}


def edit(displacement=(0, 0, 0), change: float = 0.0) -> Edit:
    moved = np.broadcast_to(
        np.array(displacement, np.float32)[:, None, None, None], (3, *MODEL.shape)
    )
    return Edit({"T1": np.full(MODEL.shape, change, np.float32)}, moved)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_an_edit_of_nothing_gives_the_scans_own_voxels_bit_for_bit(name, dtype):
    grid = GRIDS[name]
    voxels = _builders.make_voxels(grid.shape, dtype)
    study = patient(grid, voxels)
    out = edited(study, prepared_of(study), edit())
    np.testing.assert_array_equal(out["counterfactual_T1"], voxels.astype(np.float32))
    assert not out["difference_T1"].any()
    assert not out["jacobian_T1"].any()


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("axis", [0, 2])
def test_a_displacement_takes_the_value_beside_in_millimetres_of_the_models_world(name, axis):
    grid = GRIDS[name]
    slope = np.array([3.0, -5.0, 7.0])
    ramp = (points(grid) @ slope + 500).astype(np.float32)
    study = patient(grid, ramp)
    # The patient's head is turned by 30 degrees about z against the model's world.
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turn = np.eye(4)
    turn[:2, :2] = [[cos, -sin], [sin, cos]]
    prepared = replace(prepared_of(study), to_model=turn)
    shift = np.array([1.0, -0.6, 0.8])
    out = edited(study, prepared, edit(shift), axis)
    inside = prepared.reference_mask
    assert 0 < inside.mean() < 1
    in_patient = turn[:3, :3].T @ shift
    difference = out["difference_T1"]
    # Near the ends of a small array its spline bends.
    deep = np.linalg.norm(points(grid), axis=-1) < 7
    np.testing.assert_allclose(difference[deep], slope @ in_patient, atol=0.2)
    assert not difference[~inside].any()
    np.testing.assert_array_equal(out["counterfactual_T1"][~inside], ramp[~inside])


def test_a_change_is_in_the_scanners_units():
    grid = GRIDS["oblique"]
    voxels = _builders.make_voxels(grid.shape) + 200
    study = patient(grid, voxels)
    prepared = prepared_of(study)
    out = edited(study, prepared, edit(change=0.1))
    scale = prepared.scales["T1"]
    assert scale.high > 1000
    deep = np.linalg.norm(points(grid), axis=-1) < 8
    np.testing.assert_allclose(
        out["difference_T1"][deep], 0.1 * (scale.high - scale.low), rtol=1e-3
    )
    assert not out["difference_T1"][~prepared.reference_mask].any()


def test_no_voxel_gets_darker_than_the_scans_darkest():
    study = patient(MODEL, _builders.make_voxels(MODEL.shape) + 100)
    out = edited(study, prepared_of(study), edit(change=-2.0))
    assert out["counterfactual_T1"].min() == study.scans[0].voxels.min()


def test_a_spline_does_not_ring_at_an_edge():
    grid = GRIDS["upright"]
    voxels = np.where(points(grid)[..., 0] > 0, 1000.0, 0.0).astype(np.float32)
    study = patient(grid, voxels)
    out = edited(study, prepared_of(study), edit((0.4, 0, 0)))["counterfactual_T1"]
    assert (out.min(), out.max()) == (0.0, 1000.0)
    assert ((out > 100) & (out < 900)).any()


def test_to_edit_and_to_edit_back_is_near_the_scan():
    grid = GRIDS["upright"]
    x, y, z = np.moveaxis(points(grid), -1, 0)
    smooth = (500 + 200 * np.sin(x / 3) * np.cos(y / 4) * np.cos(z / 5)).astype(np.float32)
    study = patient(grid, smooth)
    there = edited(study, prepared_of(study), edit((0.7, -0.4, 0.3), 0.05))["counterfactual_T1"]
    again = patient(grid, there)
    again_prepared = replace(prepared_of(again), scales=prepared_of(study).scales)
    back = edited(again, again_prepared, edit((-0.7, 0.4, -0.3), -0.05))["counterfactual_T1"]
    deep = np.linalg.norm(points(grid), axis=-1) < 8
    assert np.abs(there - smooth)[deep].mean() > 30
    error = (back - smooth)[deep]
    assert 20 * np.log10(700 / np.sqrt((error**2).mean())) > 45


def test_what_is_not_finite_counts_as_nothing_and_spoils_no_neighbours():
    voxels = _builders.make_voxels(MODEL.shape, np.float32)
    voxels[0, 0, 0] = np.nan
    study = patient(MODEL, voxels)
    out = edited(study, prepared_of(study), edit((0.5, 0, 0)))
    assert all(np.isfinite(array).all() for array in out.values())
    assert out["counterfactual_T1"][0, 0, 0] == 0


def test_a_second_scan_on_another_grid_is_edited_on_the_first_ones():
    first, second = GRIDS["upright"], GRIDS["thick"]
    slope = np.array([2.0, 3.0, -4.0])
    t1 = patient(first, _builders.make_voxels(first.shape))
    ramp = (points(second) @ slope + 300).astype(np.float32)
    study = Study((t1.scans[0], Scan(ramp, second.affine, modality="T2"), t1.scans[1]))
    prepared = prepared_of(study)
    editing = Editing(study, ["T2"], prepared, 2)
    shift = np.array([0.5, -0.5, 1.0])
    moved = edit(shift).displacement
    editing.put(Rendered(Region(tuple(range(MODEL.shape[2]))), {}, edit=Edit({}, moved)))
    out = editing.planes(0, first.shape[2])
    deep = np.linalg.norm(points(first), axis=-1) < 8
    np.testing.assert_allclose(out["difference_T2"][deep], slope @ shift, atol=0.3)


def test_a_family_without_an_edit_is_refused():
    study = patient(MODEL, _builders.make_voxels(MODEL.shape))
    editing = Editing(study, ["T1"], prepared_of(study), 2)
    with pytest.raises(UnusableModel, match="says nothing of how a scan is to be changed"):
        editing.put(Rendered(Region((0,)), {}))


def test_the_spline_is_made_once_for_a_scan(monkeypatch):
    from scipy import ndimage

    made = []
    real = ndimage.spline_filter
    monkeypatch.setattr(ndimage, "spline_filter", lambda *a, **k: made.append(1) or real(*a, **k))
    study = patient(MODEL, _builders.make_voxels(MODEL.shape))
    prepared = prepared_of(study)
    for years in (5, 10):
        edited(study, prepared, edit(years * MM_PER_YEAR))
    assert len(made) == 1
