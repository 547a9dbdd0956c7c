"""Known places, turns and scales are found again; what is in place stays."""

from __future__ import annotations

import numpy as np
import pytest
from tests.scans.preparation._phantoms import MODEL, phantom, shifted, turned, upright_affine

from napari_medsyn.errors import Cancelled, UnusableFile
from napari_medsyn.scans.geometry import Grid, to_world
from napari_medsyn.scans.preparation import PreparationOptions, prepare
from napari_medsyn.scans.preparation import template as templates
from napari_medsyn.scans.study import Scan, Study

MNI = Grid((61, 73, 61), upright_affine(3.0, (-90.0, -126.0, -72.0)))


def distance_to(truth, prepared):
    """(n,) mm in MNI between where brain voxels are brought and where they belong."""
    index = np.argwhere(prepared.reference_mask)[::50]
    world = to_world(prepared.reference.affine, index)
    return np.linalg.norm(to_world(prepared.to_model, world) - to_world(truth, world), axis=1)


def at_own_scale():
    """World of a patient, smaller, turned and somewhere else, to MNI."""
    own = shifted(30, -25, 40) @ turned((6, -4, 5)) @ np.diag([0.82, 0.9, 0.86, 1])
    return np.linalg.inv(own)


@pytest.mark.parametrize("modality", ["T1", "T2", "FLAIR"])
def test_a_brain_at_its_own_scale_is_brought_to_mni(modality):
    truth = at_own_scale()
    grid = Grid((60, 70, 58), upright_affine(3.0, (-60.0, -130.0, -35.0)))
    study = Study((phantom(modality, grid, truth),))
    prepared = prepare(study, MODEL, PreparationOptions())
    distance = distance_to(truth, prepared)
    assert np.median(distance) < 1.0
    assert np.percentile(distance, 95) < 2.0
    assert prepared.steps[-2]["step"] == "register to MNI"


def test_what_is_in_place_is_left_alone():
    study = Study((phantom("T1", MNI, np.eye(4)), phantom("T2", MNI, np.eye(4))))
    prepared = prepare(study, MODEL, PreparationOptions())
    np.testing.assert_array_equal(prepared.to_model, np.eye(4))
    assert prepared.notes == ()


def test_always_registers_also_what_is_in_place():
    study = Study((phantom("T1", MNI, np.eye(4)),))
    prepared = prepare(study, MODEL, PreparationOptions(register="always"))
    assert not np.array_equal(prepared.to_model, np.eye(4))
    assert np.median(distance_to(np.eye(4), prepared)) < 1.0


def test_a_scan_that_moved_is_brought_onto_the_first_and_the_user_told():
    move = shifted(5, -4, 3) @ turned((4, 3, -5))
    # The T2's header says nothing of the patient's move.
    moved = phantom("T2", MNI, np.linalg.inv(move))
    study = Study((phantom("T1", MNI, np.eye(4)), moved))
    prepared = prepare(study, MODEL, PreparationOptions())
    straight = phantom("T2", MODEL, np.eye(4), noise=0)
    both = prepared.mask & (straight.voxels > 0)
    assert np.corrcoef(prepared.volumes["T2"][both], straight.voxels[both])[0, 1] > 0.9
    by_header = prepare(study, MODEL, PreparationOptions(register="never"))
    assert np.corrcoef(by_header.volumes["T2"][both], straight.voxels[both])[0, 1] < 0.8
    assert "phantom_T2 was moved by" in prepared.notes[0]
    np.testing.assert_array_equal(prepared.to_model, np.eye(4))


def test_the_same_scans_give_the_same_bits():
    grid = Grid((40, 48, 40), upright_affine(4.5, (-60.0, -130.0, -35.0)))
    study = Study((phantom("T1", grid, at_own_scale()),))
    one, other = (prepare(study, MODEL, PreparationOptions()) for _ in range(2))
    np.testing.assert_array_equal(one.to_model, other.to_model)
    np.testing.assert_array_equal(one.volumes["T1"], other.volumes["T1"])


def test_registration_can_be_stopped_in_between():
    grid = Grid((40, 48, 40), upright_affine(4.5, (-60.0, -130.0, -35.0)))
    study = Study((phantom("T1", grid, at_own_scale()),))
    asked = []

    def after_a_while() -> bool:
        asked.append(1)
        return len(asked) > 12

    with pytest.raises(Cancelled):
        prepare(study, MODEL, PreparationOptions(), should_stop=after_a_while)
    assert len(asked) == 13


def test_a_missing_template_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(templates, "template_path", lambda: tmp_path / "none.npz")
    templates.load_template.cache_clear()
    try:
        study = Study((Scan(np.indices((8, 9, 10))[0], np.eye(4), "T1"),))
        with pytest.raises(UnusableFile, match="template cannot be read"):
            prepare(study, MODEL, PreparationOptions())
    finally:
        templates.load_template.cache_clear()
