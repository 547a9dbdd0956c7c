from __future__ import annotations

import torch
from training.judges.tissue.augment import another_look


def crop():
    image = torch.rand((1, 12, 16, 12), generator=torch.Generator().manual_seed(3)) + 0.01
    image[:, :3] = 0
    return image


def test_background_stays_background_and_values_stay_in_range():
    for seed in range(20):
        seen = another_look(crop(), torch.Generator().manual_seed(seed))
        assert seen.shape == (1, 12, 16, 12)
        assert (seen[:, :3] == 0).all()
        assert seen.min() >= 0
        assert seen.max() <= 1.5


def test_the_same_generator_gives_the_same_look_and_another_one_another():
    first, again, other = (
        another_look(crop(), torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    torch.testing.assert_close(first, again)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first, crop())


def test_order_of_intensities_survives_where_nothing_but_contrast_changes():
    # Among many looks some have neither bias nor noise nor thick slices: a monotone curve.
    flat = torch.linspace(0.1, 1.0, 12).expand(1, 12, 12, 12).clone()
    looks = [another_look(flat, torch.Generator().manual_seed(seed)) for seed in range(40)]
    monotone = [bool((look.diff(dim=3) >= 0).all()) for look in looks]
    assert any(monotone)
