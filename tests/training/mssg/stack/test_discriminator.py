"""The shared discriminator: shapes, energy, and how much pictures differ."""

from __future__ import annotations

import torch
from training.mssg.stack.discriminator import GROUP, Discriminator, Halving, with_spread


def test_it_gives_a_logit_and_the_labels() -> None:
    torch.manual_seed(0)
    logits, labels = Discriminator((6, 5, 4), heads=6)(torch.randn(8, 1, 16, 16))
    assert logits.shape == (8,)
    assert labels.shape == (8, 6)


def test_a_block_halves_the_picture_and_keeps_its_energy() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 64, 16, 16)
    y = Halving(64, 64)(x)
    assert y.shape == (4, 64, 8, 8)
    # Both paths blur white noise, so that less than all is left; equalised rates keep the rest.
    assert 0.1 < float(y.detach().square().mean()) < 1.2


def test_pictures_that_are_alike_have_no_spread() -> None:
    x = torch.randn(1, 3, 4, 4).expand(GROUP, -1, -1, -1)
    torch.testing.assert_close(with_spread(x)[:, 3], torch.full((GROUP, 4, 4), 1e-4))


def test_spread_is_the_standard_deviation_within_the_group() -> None:
    """Eight pictures make two groups of every other one: of 0 and 2, and of 5s."""
    values = torch.tensor([0.0, 5, 2, 5, 0, 5, 2, 5])
    x = values.view(8, 1, 1, 1).expand(-1, 1, 4, 4)
    spread = with_spread(x)[:, 1, 0, 0]
    torch.testing.assert_close(spread, torch.tensor([1.0, 0] * 4), atol=1e-3, rtol=0)
