"""A counterfactual of a real patient with the embedded model."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_medsyn import counterfactual
from napari_medsyn.scans.reading import read_scan

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_at_the_own_age_nothing_changes_and_twenty_years_later_the_brain_does(shared):
    patient = shared / "data" / "ms" / "patient07"
    made = counterfactual(
        "mssg-brain-t1",
        {"T1": patient / "T1.nii.gz", "label": patient / "brain.nii.gz"},
        from_={"age": 40, "sex": "F"},
        sweep={"age": [40, 60]},
        follow=True,
        device="cpu",
    )
    scan = made.reference.voxels
    same, older = made.arrays["counterfactual_T1"]
    np.testing.assert_array_equal(same, scan)
    outside = read_scan(patient / "brain.nii.gz").voxels == 0
    np.testing.assert_array_equal(older[outside], scan[outside])
    assert np.abs(older - scan)[~outside].mean() > 1
    # Ventricles widen: what was fluid has grown.
    grown = made.arrays["jacobian_T1"][1][~outside]
    assert grown.max() > math.log(1.2)
    assert made.findings.psnr_db > 24
    assert made.findings.origins["age"] == "stated"
    assert made.followed == ("ventricles",)
