"""Models whose answers are known, a scan, and the identity as preparation."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests._fakes import ORIGIN, make_package, make_scan
from tests._people import FAMILIES, at_home
from tests.exploration._painting import FAMILIES as PAINTERS
from tests.exploration._painting import make_painter

#: Voxel to world of the scan: that of the fake models.
AFFINE = np.eye(4)
AFFINE[:3, 3] = ORIGIN


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """A model of people, one that imputes and a painter in the user's folder, none embedded."""
    folder = at_home(tmp_path, monkeypatch)
    monkeypatch.setattr("napari_medsyn.models.families.TABLE", FAMILIES | PAINTERS)
    make_package(folder / "fake")
    make_painter(folder / "painter")
    return folder


@pytest.fixture
def t1(tmp_path) -> Path:
    """A T1 of the fake models' grid, as a file."""
    path = tmp_path / "t1.nii.gz"
    nibabel.Nifti1Image(make_scan("T1").voxels, AFFINE).to_filename(path)
    return path
