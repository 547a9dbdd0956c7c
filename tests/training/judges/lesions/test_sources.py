"""Where slices with lesions come from: the simulator, and visits that are painted into."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.training.mmhvae._made import make_label_maps, make_lesions
from training.data.grids import GRID_SHAPE, MODALITIES
from training.data.multimodal import Visit
from training.judges.lesions.bank import Bank, joined, stored
from training.judges.lesions.real import PaintedSlices, canvases, painted_visit, suspect, tissues
from training.judges.lesions.scoring import drawn, volumes
from training.judges.lesions.simulated import CHUNK, LesionSimulator

X, Y, Z = GRID_SHAPE
FLAIR = MODALITIES.index("FLAIR")


@pytest.fixture(scope="module")
def simulator():
    return LesionSimulator(make_label_maps(), make_lesions())


@pytest.fixture(scope="module")
def visit():
    """Grey matter around white around fluid, noise on all; a bright ball nobody has drawn."""
    noise = np.random.default_rng(0).normal(0, 0.02, (3, Z, X, Y)).astype(np.float32)
    part = np.zeros((Z, X, Y), np.uint8)
    for code, margin in enumerate((20, 36, 60), start=1):
        part[60:90, margin:-margin, margin:-margin] = code
    look = np.array([[0, 0.65, 0.9, 0.1], [0, 0.5, 0.4, 1.0], [0, 0.8, 0.7, 0.1]], np.float32)
    images = (look[:, part] + noise) * (part > 0)
    images[2, 70:76, 40:48, 90:98] = 1.2
    four = np.zeros((4, Z, X, Y), np.float32)
    four[[0, 2, 3]] = images.clip(0)
    present = torch.tensor([True, False, True, True])
    stack = torch.from_numpy(four).half()
    return Visit("msv-01", "msv-01_visit1", stack, present, torch.from_numpy(part > 0))


def test_a_bank_holds_lesions_where_images_show_them(simulator):
    bank = simulator.bank(2 * CHUNK, seed=0)
    assert len(bank) == 2 * CHUNK
    assert bank.images.shape == (2 * CHUNK, 4, 3, X, Y)
    assert bank.present.all()
    assert bank.target.any()
    assert not (bank.target & ~bank.weight).any()
    flair = torch.stack([bank.image(i)[FLAIR, 1] for i in range(len(bank))])
    ring = torch.nn.functional.max_pool2d(bank.target[:, None].float(), 9, 1, 4)[:, 0] > 0
    ring &= ~bank.target & bank.weight
    assert flair[bank.target].mean() > flair[ring].mean()


def test_the_same_seed_makes_the_same_bank(simulator):
    one, same, other = (simulator.bank(CHUNK, seed=s) for s in (1, 1, 2))
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.target, same.target)
    assert not torch.equal(one.images, other.images)


def test_a_subject_is_whole_and_its_slices_belong_together(simulator):
    subject = simulator.subject(0, 1, seed=0, most=12)
    filled = subject.mask.any(dim=2).any(dim=1)
    assert 9 <= int(filled.sum()) <= 12
    heights = torch.nonzero(filled)[:, 0]
    assert int(heights[-1] - heights[0]) == len(heights) - 1
    assert drawn(subject).any()
    assert not (drawn(subject) & ~subject.mask.permute(1, 2, 0).numpy()).any()
    flair = volumes(subject)["FLAIR"]
    brain = flair[flair > 0]
    assert np.percentile(brain, 99.5) == pytest.approx(1.0, abs=0.01)
    # The same structure in all slices: the made-up head does not change along Z.
    white = subject.images[0].float()[heights]
    middle = white[:, X // 2 - 25, Y // 2]
    assert float(middle.std()) < 0.1


def test_tissues_are_told_apart_by_the_t1(visit):
    white, grey = tissues(visit.images[0].float().numpy(), visit.mask.numpy())
    assert white[75, 45, 70]
    assert not white[75, 28, 70]
    assert not white[75, 80, 96]
    assert grey[75, 28, 70]
    assert not grey[75, 45, 70]


def test_what_is_too_bright_in_flair_is_not_judged(visit):
    t1, flair = (visit.images[m].float().numpy() for m in (0, FLAIR))
    bright = suspect(flair, *tissues(t1, visit.mask.numpy()))
    assert bright[70:76, 40:48, 90:98].all()
    assert bright[75, 39, 93]
    assert not bright[75, 45, 60]
    assert bright[visit.mask.numpy()].mean() < 0.2


def test_painted_slices_keep_off_suspects_and_missing_modalities(visit):
    lesions = torch.zeros(1, Z, X, Y, dtype=torch.uint8)
    lesions[:, :, 38:60, 60:110] = 1
    slices = PaintedSlices(canvases([visit]), lesions)
    bank = slices.bank(6, seed=0)
    assert len(bank) == 6
    assert bank.target.any()
    assert not (bank.target & ~bank.weight).any()
    assert not bank.images[~bank.present.any(dim=1)].any()
    for i in range(6):
        assert bank.present[i].tolist()[2:] == [True, True]
        assert bool(bank.images[i, 1].any()) == bool(bank.present[i, 1])


def test_a_painted_visit_says_where_its_mask_is_the_truth(visit):
    lesions = torch.zeros(Z, X, Y, dtype=torch.uint8)
    lesions[65:80, 40:50, 60:110] = 1
    painted = painted_visit(visit, lesions, seed=0, most=10)
    heights = torch.nonzero(painted.mask.any(dim=2).any(dim=1))[:, 0]
    assert len(heights) == 10
    assert heights[0] >= 64
    assert heights[-1] <= 80
    known = painted.mask[heights]
    assert painted.lesions is not None
    assert not (painted.lesions[heights] & ~known).any()
    assert not painted.lesions[70, 40:48, 90:98].any()
    assert not painted.mask[70, 44, 94]
    change = painted.images[FLAIR, 70].float() - visit.images[FLAIR, 70].float()
    assert float(change[44:46, 70:75].mean()) > 0.05
    assert not painted.images[1].any()


def test_banks_are_joined_in_order():
    def bank(k):
        images = stored(torch.full((1, 4, 3, 2, 2), 0.5))
        return Bank(images, torch.ones(1, 4) > 0, *[torch.ones(1, 2, 2) > 0] * 2, torch.tensor([k]))

    both = joined([bank(3), bank(5)])
    assert both.slices.tolist() == [3, 5]
    assert len(both) == 2
    assert float(both.image(1).mean()) == pytest.approx(0.5)
