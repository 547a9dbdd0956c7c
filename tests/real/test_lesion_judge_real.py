"""The shipped lesion judge on the one real patient whose lesions were drawn, seen by no judge."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medsyn.evaluation.judging import judge
from napari_medsyn.scans.reading import read_scan
from napari_medsyn.scans.study import Study

pytestmark = pytest.mark.real

MODALITIES = ("T1", "T2", "FLAIR")


@pytest.fixture(scope="module")
def folder(shared):
    """Patient 07."""
    path = shared / "data" / "ms" / "patient07"
    if not (path / "lesion.nii.gz").is_file():
        pytest.skip(f"no lesions at {path}")
    return path


def test_lesions_are_where_three_raters_drew_them(folder):
    scans = (read_scan(folder / f"{m}.nii.gz").with_modality(m) for m in MODALITIES)
    (answer,) = judge(Study(tuple(scans)), ["judge-lesions-mr"], device="cpu")
    found = answer.maps()["lesions"] > 0
    drawn = np.asarray(read_scan(folder / "lesion.nii.gz").voxels) > 0
    assert found.shape == drawn.shape
    # Far above chance: the lesions are a thousandth of the brain.
    assert 2 * (found & drawn).sum() / (found.sum() + drawn.sum()) > 0.3
    assert answer.readings["lesion_count"] >= 5
