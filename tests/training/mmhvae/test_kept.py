from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.training.mmhvae._made import layered_visit
from training.compare.imputers import Imputed
from training.mmhvae.kept import changed, kept, painted_visits


@pytest.fixture(scope="module")
def painted():
    masks = torch.zeros(2, 12, 40, 40, dtype=torch.uint8)
    masks[0, 3:8, 22:27, 14:26] = 1
    masks[1, 9, 2:4, 2:4] = 1  # no white matter there
    return painted_visits([layered_visit()], masks)


def imputer(weight):
    """Gives so much of the scan, and for the rest what is beside its lesions: 0.7."""

    def made(visit, present, slices):
        assert present == ["T1", "T2"]
        flair = np.asarray(visit.images[3, slices].permute(1, 2, 0).float())
        return Imputed({"FLAIR": weight * flair + (1 - weight) * np.float32(0.7)}, None)

    return made


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_contrast_that_is_kept_is_found(painted, share):
    assert kept(imputer(share), painted[0], ["T1", "T2"], 1) == pytest.approx(share, abs=1e-3)


def test_painted_lesions_are_known_in_white_matter_alone(painted):
    one, none = painted
    assert (one.name, none.name) == ("a visit+0", "a visit+1")
    assert set(one.lesions.nonzero()[:, 0].tolist()) == {3, 4, 5, 6, 7}
    plain = layered_visit()
    change = (one.images - plain.images).float()
    assert (change[3][one.lesions] > 0.01).all()
    # One look for the whole scan.
    assert change[3, :, 24, 20][3:8].max() - change[3, :, 24, 20][3:8].min() < 1e-2
    assert not none.lesions.any()
    assert torch.equal(none.images, plain.images)


def test_too_few_lesions_say_nothing_and_nobody_s_are_refused(painted):
    assert kept(imputer(1.0), painted[1], ["T1", "T2"], 1) is None
    with pytest.raises(ValueError, match="nobody has drawn the lesions of a visit"):
        kept(imputer(1.0), layered_visit(), ["T1", "T2"], 1)


def test_changed_lesions_are_those_of_visits_that_have_some():
    visit = layered_visit()
    drawn = torch.zeros_like(visit.mask)
    drawn[4:8, 18:20, 18:20] = True
    (found,) = changed([visit, replace(visit, lesion_change=drawn)])
    assert torch.equal(found.lesions, drawn)
