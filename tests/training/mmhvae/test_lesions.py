from __future__ import annotations

import pytest
import torch
from tests.training.mmhvae._made import layered_visit, seeded
from training.mmhvae.lesions import RATIO, SEVERITY, Brush, faded, paint

T1, T1C, T2, FLAIR = range(4)


def test_white_matter_is_found_without_fluid_grey_matter_or_what_may_be_a_lesion():
    masks = torch.zeros(1, 12, 40, 40, dtype=torch.uint8)
    brush = Brush([layered_visit()], masks)
    white = brush.white[0]
    assert white[5, 14:18, 14:26].float().mean() > 0.95
    assert not white[:, :11].any()
    assert not white[5, 18:20, 18:20].any()
    assert brush.level[0].tolist() == pytest.approx([0.9, 0.0, 0.3, 0.7], abs=0.01)


def test_a_visit_without_t1_takes_its_white_matter_from_the_person_s_other_one():
    masks = torch.zeros(1, 12, 40, 40, dtype=torch.uint8)
    without = layered_visit(present=(False, False, True, True))
    with_it, taken, alone = Brush(
        [layered_visit(), without, layered_visit("b", without.present.tolist())], masks
    ).white
    assert torch.equal(taken, with_it)
    assert with_it.any()
    assert not alone.any()


def test_lesions_come_from_a_patient_who_has_some_at_this_height():
    masks = torch.zeros(3, 12, 40, 40, dtype=torch.uint8)
    masks[1, 5, 10:12, 10:12] = 1
    brush = Brush([layered_visit()], masks)
    assert all(torch.equal(brush.wanted(5, seeded(k)), masks[1, 4:7].float()) for k in range(5))
    assert not brush.wanted(8, seeded()).any()


def test_a_painted_lesion_is_known_in_place_and_change():
    images = torch.full((40, 4, 3, 16, 16), 0.5)
    images[..., :2, :] = 0
    place = torch.zeros(40, 3, 16, 16)
    place[:, :, 6:11, 6:11] = 1.0
    level = torch.tensor([[0.8, 0.5, 0.3, 0.7]]).expand(40, -1)
    painted, share = paint(images, place, level, seeded())
    assert torch.equal(share > 0, faded(place)[:, 1] > 0)
    assert share[:, 8, 8].eq(1).all()
    change = (painted - images)[:, :, 1]
    assert not change[(share == 0)[:, None].expand_as(change)].any()
    relative = change[:, :, 8, 8] / level
    flair = relative[:, FLAIR]
    # The change is uneven by at most -60 to 60 % of a severity.
    assert ((flair > 0.4 * SEVERITY[0]) & (flair < 1.6 * SEVERITY[1])).all()
    assert flair.std() > 0.05
    for m, name in ((T1, "T1"), (T2, "T2")):
        ratio = relative[:, m] / flair
        assert ((ratio >= RATIO[name][0] - 1e-4) & (ratio <= RATIO[name][1] + 1e-4)).all()
        assert ratio.std() > 0.1


def test_nothing_is_painted_outside_the_head_or_into_what_is_missing():
    images = torch.full((2, 4, 3, 16, 16), 0.5)
    images[:, T1C] = 0
    images[..., :8] = 0
    level = torch.tensor([[0.8, 0.0, 0.3, 0.7]]).expand(2, -1)
    painted, _ = paint(images, torch.ones(2, 3, 16, 16), level, seeded())
    assert not painted[images == 0].any()


def test_edges_fade_and_what_is_painted_keeps_its_amount():
    place = torch.zeros(1, 1, 9, 9)
    place[0, 0, 4, 4] = 1.0
    soft = faded(place)
    assert float(soft.sum()) == pytest.approx(1.0)
    assert soft[0, 0, 3:6, 4].tolist() == pytest.approx([0.125, 0.25, 0.125])
