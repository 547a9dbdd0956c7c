"""The sample patient is complete, small, marked as synthetic and where it says it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_medsyn import resources
from napari_medsyn.scans.sample import sample_study
from napari_medsyn.scans.study import Scan, Study


@pytest.fixture(scope="module")
def study() -> Study:
    return sample_study()


def scan_of(study: Study, modality: str) -> Scan:
    scan = study.get(modality)
    assert scan is not None
    return scan


def test_holds_what_it_should_and_nothing_that_is_to_be_imputed(study: Study) -> None:
    assert study.modalities == ("T1", "T2", "label")
    assert [scan.name for scan in study] == ["sample_T1", "sample_T2", "sample_lesion"]


def test_every_file_is_marked_as_synthetic_in_itself(study: Study) -> None:
    for scan in study:
        assert scan.is_synthetic
        assert "mirrored and deformed" in scan.facts["provenance"]["anatomy"]


def test_all_lie_on_one_grid_of_one_millimetre(study: Study) -> None:
    for scan in study:
        assert scan.grid.matches(study.reference.grid)
    assert np.array_equal(np.abs(study.reference.affine[:3, :3]), np.eye(3))


def test_scale_of_the_brain(study: Study) -> None:
    for modality in ("T1", "T2"):
        voxels = scan_of(study, modality).voxels
        assert voxels.dtype == np.int16
        assert np.percentile(voxels[voxels > 0], 99.5) == pytest.approx(900, abs=8)


def test_brain_is_one_piece_without_holes_and_of_human_size(study: Study) -> None:
    brain = scan_of(study, "T1").voxels > 0
    assert np.array_equal(brain, scan_of(study, "T2").voxels > 0)
    assert ndimage.label(brain)[1] == 1
    assert np.array_equal(ndimage.binary_fill_holes(brain), brain)
    assert 1.3e6 < brain.sum() < 2.0e6


def test_lesions_are_dark_in_t1_and_bright_in_t2(study: Study) -> None:
    lesion = scan_of(study, "label").voxels > 0
    assert 5_000 <= lesion.sum() <= 15_000  # µl
    around = ndimage.binary_dilation(lesion, iterations=4) & ~ndimage.binary_dilation(lesion)
    core = ndimage.binary_erosion(lesion)
    t1, t2 = scan_of(study, "T1").voxels, scan_of(study, "T2").voxels
    assert np.median(t1[core]) < 0.9 * np.median(t1[around])
    assert np.median(t2[core]) > 1.2 * np.median(t2[around])


def test_ventricles_lie_where_mni_has_them(study: Study) -> None:
    """The middle of the frontal horns, about MNI (±7, 20, 10), is bright in T2 and dark in T1."""
    grid = study.reference.grid
    for modality, sign in (("T1", -1), ("T2", 1)):
        voxels = scan_of(study, modality).voxels.astype(float)
        typical = np.median(voxels[voxels > 0])
        for x in (-7, 7):
            index = np.round(np.linalg.inv(grid.affine) @ [x, 20, 10, 1])[:3].astype(int)
            box = voxels[tuple(slice(i - 6, i + 7) for i in index)]
            found = np.percentile(box, 50 + 45 * sign)
            assert sign * (found - typical) > 0.4 * typical


def test_files_are_small() -> None:
    sizes = [path.stat().st_size for path in (resources.folder() / "sample").glob("*.nii.gz")]
    assert sum(sizes) < 4e6
