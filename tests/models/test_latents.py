"""Latent vectors from seeds and sliders."""

from __future__ import annotations

import pytest
import torch

from napari_medsyn.models.latents import latent


def test_the_same_seed_gives_the_same_latent() -> None:
    assert torch.equal(latent(7, 5), latent(7, 5))
    assert not torch.equal(latent(7, 5), latent(8, 5))


def test_sliders_move_their_own_number_only() -> None:
    moved = latent(1, 4, (0.0, 0.5)) - latent(1, 4)

    torch.testing.assert_close(moved, torch.tensor([0.0, 0.5, 0.0, 0.0]))


def test_a_uniform_latent_stops_at_its_ends() -> None:
    drawn = latent(3, 6, (5.0, -5.0), "uniform")

    assert drawn[:2].tolist() == [1.0, 0.0]
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()

    latent(5, 3)

    assert torch.equal(before, torch.random.get_rng_state())


def test_more_sliders_than_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="3 offsets"):
        latent(0, 2, (1.0, 1.0, 1.0))
