from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from tests.training.simulator._made import MIDDLE
from training.data.grids import GRID_ORIGIN, GRID_SHAPE
from training.simulator import Covariates, Simulator
from training.simulator.anatomy import GRID_1MM, GRID_2MM
from training.simulator.deformation import random_warp
from training.simulator.head import make_head
from training.simulator.lesions import HOSTS
from training.simulator.scanner import Scanner
from training.simulator.tissues import CODE, LESION

ASKED = (
    Covariates(ventricle_ml=8.0, lesion_ml=2.0, thickness_mm=5.0, age=30.0, sex="F"),
    Covariates(ventricle_ml=40.0, lesion_ml=20.0, thickness_mm=6.0, cohort="here"),
)


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def heads(simulator):
    return simulator.draw(2, seeded(), covariates=ASKED)


def test_heads_are_on_mni_s_grid_with_four_modalities(heads):
    assert heads.images.shape == (2, 4, 91, 109, 91)
    assert heads.images.dtype == torch.float32
    assert heads.tissues.shape == heads.brain.shape == (2, 91, 109, 91)
    assert heads.lattice == GRID_2MM


def test_background_is_0_and_full_scale_1(heads):
    for images, brain, tissues in zip(heads.images, heads.brain, heads.tissues, strict=True):
        assert not images[:, ~brain].any()
        assert torch.equal(tissues > 0, brain)
        for image in images:
            assert np.percentile(image[brain].numpy(), 99.5) == pytest.approx(1, abs=0.04)


def test_sizes_are_what_was_asked_for(heads):
    for asked, tissues in zip(ASKED, heads.tissues.numpy(), strict=True):
        ventricle_ml = 0.008 * (tissues == CODE["ventricle"]).sum()
        assert ventricle_ml == pytest.approx(asked.ventricle_ml, rel=0.05)
        assert 0.008 * (tissues == LESION).sum() == pytest.approx(asked.lesion_ml, rel=0.1)
        cortex, white = tissues == CODE["cortex"], np.isin(tissues, (CODE["white"], LESION))
        faces = sum(
            (cortex & np.roll(white, side, axis)).sum() for axis in range(3) for side in (-1, 1)
        )
        assert 2.0 * cortex.sum() / (faces * 2 / 3) == pytest.approx(asked.thickness_mm, rel=0.03)


def test_what_is_told_is_what_is_there(heads):
    for told, asked, tissues in zip(heads.covariates, heads.asked, heads.tissues, strict=True):
        assert told.ventricle_ml == pytest.approx(0.008 * int((tissues == 11).sum()), abs=1e-3)
        assert told.lesion_ml == pytest.approx(0.008 * int((tissues == LESION).sum()), abs=1e-3)
        assert (told.age, told.sex, told.cohort) == (asked.age, asked.sex, asked.cohort)


def test_lesions_grow_in_what_was_white(simulator):
    without, with_lesions = (
        simulator.draw(1, seeded(), covariates=[Covariates(lesion_ml=ml)]) for ml in (0.0, 10.0)
    )
    assert not without.lesions.any()
    assert set(without.tissues[with_lesions.lesions].unique().tolist()) <= set(HOSTS)


def test_the_same_seed_is_the_same_bits_and_another_is_not(simulator):
    one, again, other = (simulator.draw(2, seeded(s), slab=5) for s in (3, 3, 4))
    assert torch.equal(one.images, again.images)
    assert torch.equal(one.tissues, again.tissues)
    assert torch.equal(one.slices, again.slices)
    assert not torch.equal(one.tissues, other.tissues)
    assert not torch.equal(one.images[0], one.images[1])


def test_slabs_are_on_the_model_s_grid_at_their_height(simulator):
    slabs = simulator.draw(4, seeded(), spacing=1.0, slab=3)
    assert slabs.images.shape == (4, 4, 160, 192, 3)
    assert len(set(slabs.slices.tolist())) > 1
    for images, tissues, z in zip(slabs.images, slabs.tissues, slabs.slices.tolist(), strict=True):
        height = GRID_ORIGIN[2] + z
        if abs(height - MIDDLE[2]) > 40:
            continue
        middle = ndimage.center_of_mass((tissues[:, :, 1] > 0).numpy())
        world = np.array(middle) + GRID_ORIGIN[:2]
        assert world == pytest.approx(MIDDLE[:2], abs=12)
        assert images.max() > 0.5
    assert {c.ventricle_ml for c in slabs.covariates} == {None}


def test_no_brain_is_lost_by_looking_at_every_second_voxel(simulator):
    anatomy = simulator.anatomies[0]
    for seed in range(3):
        warp = random_warp(seeded(seed))
        head = make_head(anatomy, warp, GRID_2MM, Covariates(), seeded(seed))
        distance = anatomy.distances.at(warp.on(GRID_2MM).movedim(0, -1))[1]
        found = torch.zeros(GRID_2MM.shape, dtype=torch.bool)
        found[head.box] = head.tissues > 0
        assert found[distance < 0.5].float().mean() > 0.995
        assert not found[distance > 7].any()


def test_without_strength_the_anatomy_itself_is_painted(made):
    still = Simulator(made, sources=("synthseg",), strength=0.0)
    own = float((still.anatomies[0].tissues == CODE["ventricle"]).sum()) / 1000
    asked = Covariates(lesion_ml=0.0, ventricle_ml=own)
    head = still.draw(1, seeded(), covariates=[asked], anatomies=[0])
    assert head.anatomies == (still.anatomies[0].person,)
    # Voxel (5, 6, 0) of the coarse grid is (0, 1, 2) of the fine one; the made head is the
    # same on both sides, so that the mirror changes nothing.
    there = still.anatomies[0].tissues[::2, 1::2, 2::2] == CODE["ventricle"]
    drawn = head.tissues[0, 5:85, 6:102, :79] == CODE["ventricle"]
    assert int((drawn & there).sum()) > 0.95 * max(int(there.sum()), int(drawn.sum()))


def test_fine_grids_are_made_of_fine_anatomies_only(made, tmp_path):
    both = Simulator(made, cache=tmp_path)
    assert {a.person[:3] for a in both.usable(2.0)} == {"syn", "ixi"}
    assert {a.person[:3] for a in both.usable(1.0)} == {"syn"}
    coarse = Simulator(made, sources=("ixi",), cache=tmp_path)
    assert len(coarse.usable(1.0)) == len(coarse.anatomies)
    head = coarse.draw(1, seeded(), scanner=Scanner(thick_share=0.0))
    assert head.anatomies[0].startswith("ixi")
    assert head.covariates[0].ventricle_ml > 0


def test_what_cannot_be_made_is_refused(simulator):
    with pytest.raises(ValueError, match="1 covariates were given for 2 heads"):
        simulator.draw(2, seeded(), covariates=[Covariates()])
    with pytest.raises(ValueError, match="1 anatomies were given for 2 heads"):
        simulator.draw(2, seeded(), anatomies=[0])
    with pytest.raises(ValueError, match=r"not at 1\.5 mm"):
        simulator.draw(1, seeded(), spacing=1.5)


def test_the_fine_grid_is_the_model_s():
    assert GRID_1MM.shape == GRID_SHAPE
    assert GRID_1MM.origin == GRID_ORIGIN
