"""Real scans: left alone where they are in place, brought there where not, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_medsyn.scans.geometry import Grid, to_world
from napari_medsyn.scans.preparation import PreparationOptions, prepare
from napari_medsyn.scans.preparation.resampling import index_map, resample
from napari_medsyn.scans.reading import read_scan
from napari_medsyn.scans.study import Scan, Study

pytestmark = pytest.mark.real

SHAPE, ORIGIN = (160, 192, 160), (-80.0, -115.0, -74.0)
MODEL = Grid(SHAPE, np.array([[1, 0, 0, -80], [0, 1, 0, -115], [0, 0, 1, -74], [0, 0, 0, 1.0]]))


def load(folder: Path, *modalities: str) -> Study:
    return Study(tuple(read_scan(folder / f"{m}.nii.gz").with_modality(m) for m in modalities))


def cut(path: Path) -> np.ndarray:
    """The voxels on the model's grid, by nibabel and slicing."""
    import nibabel

    image = nibabel.as_closest_canonical(nibabel.load(path))
    assert np.array_equal(image.affine[:3, :3], np.eye(3))
    voxels = np.asarray(image.dataobj)
    low = np.subtract(ORIGIN, image.affine[:3, 3]).astype(int)
    box = tuple(slice(max(a, 0), a + n) for a, n in zip(low, SHAPE, strict=True))
    part = voxels[box]
    before = np.maximum(-low, 0)
    pad = [(b, n - b - p) for b, n, p in zip(before, SHAPE, part.shape, strict=True)]
    return np.pad(part, pad)


def test_a_normalised_patient_is_left_alone_bit_for_bit(shared):
    folder = shared / "data/ms/patient07"
    study = load(folder, "T1", "T1c", "T2", "FLAIR")
    prepared = prepare(study, MODEL, PreparationOptions())
    np.testing.assert_array_equal(prepared.to_model, np.eye(4))
    assert prepared.notes == ()
    for modality, volume in prepared.volumes.items():
        high = prepared.scales[modality].high
        expected = np.clip(cut(folder / f"{modality}.nii.gz") / np.float32(high), 0, 1.5)
        np.testing.assert_array_equal(volume, expected * prepared.mask)
    reached = prepared.to_reference(prepared.mask.astype(np.float32)) > 0
    back = prepared.to_reference(prepared.volumes["T2"])
    scan = np.asarray(prepared.reference_volumes["T2"])
    np.testing.assert_array_equal(back[reached], scan[reached])


@pytest.mark.parametrize(
    "name", ["patient01_visit1", "patient03_visit1", "patient03_visit2", "patient12_visit2"]
)
def test_so_are_other_patients_also_with_atrophy(shared, name):
    folder = shared / "data/ms_visits" / name
    modality = "T1" if (folder / "T1.nii.gz").exists() else "FLAIR"
    prepared = prepare(load(folder, modality), MODEL, PreparationOptions())
    np.testing.assert_array_equal(prepared.to_model, np.eye(4))


@pytest.mark.parametrize("modality", ["T1", "FLAIR"])
def test_a_patient_at_own_scale_is_brought_to_mni(shared, modality):
    own = np.array(
        [[0.83, -0.03, 0.02, 6], [0.04, 0.87, -0.06, -7], [-0.02, 0.07, 0.91, 4], [0, 0, 0, 1]]
    )
    scan = load(shared / "data/ms/patient07", modality).reference
    study = Study((Scan(scan.voxels, own @ scan.affine, modality),))
    prepared = prepare(study, MODEL, PreparationOptions())
    world = to_world(prepared.reference.affine, np.argwhere(prepared.reference_mask)[::97])
    truth = to_world(np.linalg.inv(own), world)
    distance = np.linalg.norm(to_world(prepared.to_model, world) - truth, axis=1)
    assert np.median(distance) < 2.0
    assert np.percentile(distance, 95) < 4.0


@pytest.mark.slow
def test_a_whole_head_on_three_grids_goes_through_and_comes_back(shared):
    study = load(shared / "data/native/ms_patient12_visit1", "T1", "T2", "FLAIR")
    prepared = prepare(study, MODEL, PreparationOptions())
    truth = shared / "data/ms_visits/patient12_visit1"
    brain = cut(truth / "brain.nii.gz") > 0
    dice = 2 * (prepared.mask & brain).sum() / (prepared.mask.sum() + brain.sum())
    assert dice > 0.92
    both = prepared.mask & brain
    theirs = cut(truth / "T1.nii.gz")
    assert np.corrcoef(prepared.volumes["T1"][both], theirs[both])[0, 1] > 0.75
    back = prepared.to_reference(prepared.volumes["T1"])
    assert back.shape == study.reference.voxels.shape
    scan = np.asarray(prepared.reference_volumes["T1"])
    reached = prepared.to_reference(prepared.mask.astype(np.float32)) > 0.5
    assert reached.sum() > 0.98 * prepared.reference_mask.sum()
    assert np.abs(back - scan)[reached].mean() < 0.03


@pytest.mark.slow
def test_a_glioma_on_another_grid_lies_over_the_template(shared):
    from napari_medsyn.scans.preparation.template import load_template

    template = load_template()
    brain = resample(template.brain, index_map(template.grid, MODEL), SHAPE) > 0.5
    folder = shared / "data/glioma/case00001"
    prepared = prepare(load(folder, "T1", "FLAIR"), MODEL, PreparationOptions())
    dice = 2 * (prepared.mask & brain).sum() / (prepared.mask.sum() + brain.sum())
    assert dice > 0.92
    assert prepared.reference.shape == (240, 240, 155)
