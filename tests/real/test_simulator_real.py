"""The simulator on the released label maps and lesion masks."""

from __future__ import annotations

import pytest
import torch
from training.data.splits import part_of
from training.simulator import Covariates, Simulator
from training.simulator.tissues import CODE, LESION, NAMES

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def simulator(shared):
    return Simulator(shared / "data", parts=("validation",), sources=("synthseg",))


def test_anatomies_are_of_the_part_and_have_every_tissue(simulator):
    assert len(simulator.anatomies) == 3
    for anatomy in simulator.anatomies:
        assert part_of(anatomy.person) == "validation"
        ml = torch.bincount(anatomy.tissues.flatten().long(), minlength=14) / 1000
        assert ml[1:13].min() > 0.5, dict(zip(NAMES, ml[1:13].tolist(), strict=True))
        assert 150 < float(ml[CODE["white"]]) < 900
        assert 200 < float(ml[CODE["cortex"]]) < 1100


def test_heads_of_real_anatomies_have_the_sizes_asked_for(simulator):
    wanted = Covariates(ventricle_ml=35.0, lesion_ml=12.0, thickness_mm=2.9)
    made = simulator.draw(1, torch.Generator().manual_seed(1), covariates=[wanted])
    tissues = made.tissues[0]
    assert 0.008 * int((tissues == CODE["ventricle"]).sum()) == pytest.approx(35, rel=0.05)
    assert 0.008 * int((tissues == LESION).sum()) == pytest.approx(12, rel=0.1)
    assert made.covariates[0].thickness_mm == pytest.approx(2.9, rel=0.05)


def test_contrast_is_each_modality_s_own(simulator):
    made = simulator.draw(4, torch.Generator().manual_seed(2))
    white, cortex = made.tissues == CODE["white"], made.tissues == CODE["cortex"]
    fluid = made.tissues == CODE["ventricle"]
    t1, t2 = made.images[:, 0], made.images[:, 2]
    assert t1[white].mean() > t1[cortex].mean() > t1[fluid].mean()
    assert t2[white].mean() < t2[cortex].mean() < t2[fluid].mean()


def test_slabs_are_of_the_model_s_grid(simulator):
    made = simulator.draw(2, torch.Generator().manual_seed(3), spacing=1.0, slab=3)
    assert made.images.shape == (2, 4, 160, 192, 3)
    assert made.images.max() <= 1.5
    assert made.brain.float().mean() > 0.02
