"""Augmentation moves and brightens pictures, can be differentiated, leaves background dark."""

from __future__ import annotations

import torch
from training.mssg.stack.augment import BRIGHTNESS, CONTRAST, SHIFT, augmented


def test_background_stays_background() -> None:
    torch.manual_seed(0)
    empty = torch.full((6, 1, 16, 16), -1.0)
    torch.testing.assert_close(augmented(empty), empty)


def test_pictures_are_moved_each_by_its_own_way() -> None:
    torch.manual_seed(0)
    point = torch.full((20, 1, 20, 20), -1.0)
    point[:, :, 10, 10] = 0.5
    places = [tuple(p[0].argmax().item() // n % 20 for n in (20, 1)) for p in augmented(point)]
    assert len(set(places)) > 5
    assert max(abs(value - 10) for place in places for value in place) <= SHIFT


def test_brightness_stays_within_its_bounds() -> None:
    torch.manual_seed(0)
    white = torch.full((200, 1, 16, 16), 0.0)
    middle = augmented(white)[:, 0, 8, 8] + 1
    most = torch.tensor(CONTRAST).exp() + BRIGHTNESS
    assert float(middle.max()) <= float(most)
    assert float(middle.std()) > 0.05


def test_gradients_come_back_to_the_picture() -> None:
    torch.manual_seed(0)
    pictures = torch.zeros(2, 1, 16, 16, requires_grad=True)
    augmented(pictures).sum().backward()
    assert pictures.grad is not None
    assert float(pictures.grad[:, :, 6:10, 6:10].min()) > 0.5
