"""A study to a model's grid and back, by headers alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage
from tests.scans.preparation._phantoms import MODEL, phantom, shifted, turned, upright_affine
from tests.scans.preparation.test_resampling import all_orientations

from napari_medsyn.errors import Cancelled, UnusableStudy
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.preparation import PreparationOptions, prepare
from napari_medsyn.scans.study import Scan, Study

BY_HEADER = PreparationOptions(register="never")
#: On the model's points, but larger: the way there is a crop.
ALIGNED = Grid((46, 55, 46), upright_affine(4.0, (-92.0, -128.0, -82.0)))


def study_on(grid, modalities=("T1", "T2"), to_mni=None):
    to_mni = np.eye(4) if to_mni is None else to_mni
    return Study(tuple(phantom(m, grid, to_mni) for m in modalities))


def reoriented(scan: Scan, orientation: str) -> Scan:
    """The same points with other array axes, by nibabel."""
    import nibabel
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    image = nibabel.Nifti1Image(scan.voxels, scan.affine)
    turn = ornt_transform(io_orientation(scan.affine), axcodes2ornt(tuple(orientation)))
    turned_image = image.as_reoriented(turn)
    return Scan(np.asarray(turned_image.dataobj), turned_image.affine, scan.modality, scan.name)


@pytest.fixture(scope="module")
def aligned():
    study = study_on(ALIGNED)
    return study, prepare(study, MODEL, BY_HEADER)


def test_values_are_those_of_the_scan(aligned):
    study, prepared = aligned
    low = np.round((MODEL.affine[:3, 3] - ALIGNED.affine[:3, 3]) / 4).astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(low, MODEL.shape, strict=True))
    brain = ndimage.binary_fill_holes(study.reference.voxels > 0)
    for scan in study:
        top = np.percentile(scan.voxels[brain], 99.5)
        expected = np.clip(scan.voxels[box] / np.float32(top), 0, 1.5)
        np.testing.assert_allclose(prepared.volumes[scan.modality], expected, rtol=1e-6)
        assert prepared.scales[scan.modality].high == pytest.approx(top)
        assert prepared.volumes[scan.modality].dtype == np.float32
    np.testing.assert_array_equal(prepared.reference_mask, brain)
    np.testing.assert_array_equal(prepared.mask, brain[box])


def test_the_way_back_is_exact_where_grids_agree(aligned):
    _, prepared = aligned
    back = prepared.to_reference(prepared.volumes["T1"])
    inside = prepared.to_reference(prepared.mask.astype(np.float32)) > 0
    np.testing.assert_array_equal(
        back[inside], np.asarray(prepared.reference_volumes["T1"])[inside]
    )
    assert inside.sum() == prepared.mask.sum()
    assert not back[~prepared.reference_mask].any()


@pytest.mark.parametrize("orientation", [*all_orientations()][1::5])
def test_orientation_changes_nothing_on_the_model_grid(aligned, orientation):
    study, prepared = aligned
    other = Study(tuple(reoriented(scan, orientation) for scan in study))
    again = prepare(other, MODEL, BY_HEADER)
    for modality, volume in prepared.volumes.items():
        np.testing.assert_array_equal(again.volumes[modality], volume)
    back = again.to_reference(again.volumes["T1"])
    straight = prepared.to_reference(prepared.volumes["T1"])
    result = Scan(back, other.reference.affine)
    np.testing.assert_array_equal(reoriented(result, "RAS").voxels, straight)


@pytest.fixture(scope="module")
def oblique():
    """T1 tilted and thick, T2 on a finer grid of its own, both in one world."""
    tilt = shifted(-85, -118, -75) @ turned((12, -5, 8))
    thick = Grid((58, 64, 26), tilt @ np.diag([3.0, 3.0, 6.0, 1.0]))
    fine = Grid((60, 72, 60), upright_affine(3.0, (-90.0, -125.0, -85.0)))
    study = Study((phantom("T1", thick, np.eye(4)), phantom("T2", fine, np.eye(4))))
    return study, prepare(study, MODEL, BY_HEADER)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_are_those_of_the_whole(oblique, axis):
    _, prepared = oblique
    volume = prepared.volumes["T1"]
    whole = prepared.to_reference(volume)
    for start, stop in ((0, 1), (9, 10), (5, 21)):
        planes = prepared.to_reference(volume, axis=axis, start=start, stop=stop)
        np.testing.assert_allclose(planes, whole.take(range(start, stop), axis), atol=1e-5)
        view = (slice(None),) * axis + (slice(start, stop),)
        np.testing.assert_allclose(
            prepared.reference_volumes["T2"][view],
            np.asarray(prepared.reference_volumes["T2"])[view],
            atol=1e-4,
        )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_model_slices_are_all_that_planes_need(oblique, axis):
    _, prepared = oblique
    volume = prepared.volumes["T1"]
    for start, stop in ((9, 10), (12, 15)):
        needed = prepared.model_slices(axis, start, stop)
        assert 0 < len(needed) <= MODEL.shape[2]
        others = np.ones(MODEL.shape[2], bool)
        others[needed.start : needed.stop] = False
        spoiled = np.where(others, np.float32(9), volume)
        np.testing.assert_array_equal(
            prepared.to_reference(spoiled, axis=axis, start=start, stop=stop),
            prepared.to_reference(volume, axis=axis, start=start, stop=stop),
        )


def test_an_oblique_scan_comes_back_to_its_own_grid(oblique):
    study, prepared = oblique
    assert prepared.reference.matches(study.reference.grid)
    back = prepared.to_reference(prepared.volumes["T1"])
    scan = np.asarray(prepared.reference_volumes["T1"])
    reached = prepared.to_reference(prepared.mask.astype(np.float32)) > 0.5
    assert reached.sum() > 0.95 * prepared.reference_mask.sum()
    # Two interpolations blur tissue borders, but a constant brain stays constant.
    assert np.corrcoef(back[reached], scan[reached])[0, 1] > 0.9
    constant = prepared.to_reference(prepared.mask.astype(np.float32) * np.float32(0.7))
    np.testing.assert_allclose(constant[reached], 0.7, rtol=1e-4)


def test_a_brain_does_not_fade_at_its_edge(oblique):
    _, prepared = oblique
    flat = np.where(np.array(prepared.mask), np.float32(1), np.float32(0))
    assert prepared.to_reference(flat)[prepared.reference_mask].max() == pytest.approx(1, abs=1e-4)
    volume = prepared.volumes["T2"]
    assert not volume[~prepared.mask].any()


def test_other_grids_lie_where_their_affines_say(oblique):
    _, prepared = oblique
    straight = phantom("T2", MODEL, np.eye(4), noise=0)
    both = prepared.mask & (straight.voxels > 0)
    assert np.corrcoef(prepared.volumes["T2"][both], straight.voxels[both])[0, 1] > 0.9


def test_a_given_mask_is_the_brain():
    study = study_on(ALIGNED)
    mask = np.zeros(ALIGNED.shape, np.uint8)
    mask[15:30, 20:35, 15:30] = 1
    label = Scan(mask, ALIGNED.affine, "label", "patient_brain")
    prepared = prepare(Study((*study, label)), MODEL, BY_HEADER)
    np.testing.assert_array_equal(prepared.reference_mask, mask > 0)
    assert set(prepared.volumes) == {"T1", "T2"}
    brain = study.reference.voxels[mask > 0]
    assert prepared.scales["T1"].high == pytest.approx(np.percentile(brain, 99.5))


@pytest.mark.parametrize("name", ["lesion", "lesion_mask", "tumour_mask"])
def test_lesions_are_no_brain(aligned, name):
    study, prepared = aligned
    lesion = np.zeros(ALIGNED.shape, np.uint8)
    lesion[20:22, 20:22, 20:22] = 1
    label = Scan(lesion, ALIGNED.affine, "label", name)
    again = prepare(Study((*study, label)), MODEL, BY_HEADER)
    np.testing.assert_array_equal(again.mask, prepared.mask)


def test_nothing_but_a_label_is_refused():
    label = Scan(np.ones((4, 5, 6), np.uint8), np.eye(4), "label", "brain")
    with pytest.raises(UnusableStudy, match="no image"):
        prepare(Study((label,)), MODEL, BY_HEADER)


@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_scan_is_refused_by_name(value):
    scan = Scan(np.full((9, 8, 7), value, np.int16), np.eye(4), "T2", "the_flat_one")
    with pytest.raises(UnusableStudy, match="the_flat_one"):
        prepare(Study((*study_on(ALIGNED, ("T1",)), scan)), MODEL, BY_HEADER)


def test_a_brain_far_from_the_model_grid_is_refused():
    far = Grid(ALIGNED.shape, shifted(500, 0, 0) @ ALIGNED.affine)
    study = study_on(far, to_mni=shifted(-500, 0, 0))
    with pytest.raises(UnusableStudy, match="no brain lies"):
        prepare(study, MODEL, BY_HEADER)


def test_nan_and_negative_voxels_do_no_harm(aligned):
    study, prepared = aligned
    t1 = study.reference
    voxels = t1.voxels.astype(np.float64)
    voxels[0, 0, 0], voxels[1, 0, 0], voxels[0, 1, 0] = np.nan, -np.inf, -50
    spoiled = Scan(voxels, t1.affine, "T1", "spoiled")
    again = prepare(study.with_scan(t1).without(t1.id).with_scan(spoiled), MODEL, BY_HEADER)
    np.testing.assert_allclose(again.volumes["T1"], prepared.volumes["T1"], atol=1e-6)


def test_it_can_be_stopped_at_every_step(aligned):
    study, _ = aligned
    asked = []
    prepare(study, MODEL, BY_HEADER, should_stop=lambda: bool(asked.append(1)))
    for moment in range(len(asked)):
        left = [False] * moment + [True]
        with pytest.raises(Cancelled):
            prepare(study, MODEL, BY_HEADER, should_stop=lambda left=left: left.pop(0))


def test_progress_goes_up_to_the_end(aligned):
    told = []
    prepare(aligned[0], MODEL, BY_HEADER, progress=lambda *step: told.append(step))
    done = [step[0] for step in told]
    assert done == list(range(len(told)))
    assert {step[1] for step in told} == {len(told)}
    assert told[-1][2] == "Preparing T2"


def test_the_record_is_json_and_the_same_every_time(aligned):
    study, prepared = aligned
    again = prepare(study, MODEL, BY_HEADER)
    assert json.dumps(again.steps) == json.dumps(prepared.steps)
    assert again.content_hash == prepared.content_hash
    assert {step["step"] for step in prepared.steps} == {"brain mask", "intensity"}
    other = prepare(study, MODEL, PreparationOptions(register="never", bias_field=True))
    assert other.content_hash != prepared.content_hash
    assert "bias field" in {step["step"] for step in other.steps}
