"""The StyleGAN2 generator on made weights; the reference numbers are in tests/real."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from napari_medsyn.models.stylegan2.layers import (
    binomial_filter,
    doubled,
    modulated,
    unit_second_moment,
)
from napari_medsyn.models.stylegan2.network import Generator, Layout

SMALL = Layout(z=5, c=2, w=6, channels=1, layers=2, features=(8, 7, 4))


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    net = Generator(SMALL).eval()
    with torch.no_grad():
        net.mapping.w_avg.normal_()
        for name, parameter in net.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.5)
    return net


def given(n: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 5, generator=generator), torch.rand(n, 2, generator=generator)


@torch.inference_mode()
def test_a_picture_has_the_size_of_the_layout(generator: Generator) -> None:
    assert generator(*given()).shape == (2, 1, 16, 16)
    assert generator.layout.styles == 6


@torch.inference_mode()
def test_pictures_of_a_batch_are_those_made_alone(generator: Generator) -> None:
    z, c = given(3)

    together = generator(z, c)
    alone = torch.cat([generator(z[i : i + 1], c[i : i + 1]) for i in range(3)])

    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_truncated_to_nothing_every_latent_gives_the_mean(generator: Generator) -> None:
    styles = generator.mapping(*given(), psi=0.0)

    torch.testing.assert_close(styles, generator.mapping.w_avg.expand(2, -1))


@torch.inference_mode()
def test_truncation_is_a_step_towards_the_mean(generator: Generator) -> None:
    full, half = generator.mapping(*given()), generator.mapping(*given(), psi=0.5)

    torch.testing.assert_close(half, (full + generator.mapping.w_avg) / 2)


@torch.inference_mode()
def test_labels_and_noise_change_the_picture(generator: Generator) -> None:
    z, c = given()

    assert not torch.allclose(generator(z, c), generator(z, c + 0.5))
    assert not torch.allclose(generator(z, c), generator(z, c, noise="none"))
    assert torch.equal(generator(z, c), generator(z, c))


def test_without_labels_there_is_nothing_to_embed() -> None:
    net = Generator(replace(SMALL, c=0))

    assert not hasattr(net.mapping, "embed")
    assert net(torch.randn(1, 5)).shape == (1, 1, 16, 16)


def test_doubling_keeps_a_flat_picture_flat_away_from_the_border() -> None:
    flat = torch.full((1, 2, 8, 8), 3.0)

    inside = doubled(flat, binomial_filter())[:, :, 2:-2, 2:-2]

    torch.testing.assert_close(inside, torch.full_like(inside, 3.0))


def test_demodulated_weights_have_unit_norm() -> None:
    x = torch.zeros(1, 3, 5, 5)
    x[:, :, 2, 2] = 1
    weight, styles = torch.randn(4, 3, 3, 3), torch.rand(1, 3) + 0.1

    # An impulse in every channel sums the demodulated kernel over the inputs.
    kernel = weight * styles[0][None, :, None, None]
    kernel = kernel / kernel.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
    expected = F.conv2d(x, kernel, padding=1)

    torch.testing.assert_close(modulated(x, weight, styles), expected, rtol=1e-4, atol=1e-6)


def test_the_second_moment_becomes_one() -> None:
    x = unit_second_moment(torch.tensor([[3.0, 4.0]]))

    torch.testing.assert_close(x, torch.tensor([[3.0, 4.0]]) / math.sqrt(12.5))


def test_the_sizes_can_be_read_off_the_tensors(generator: Generator) -> None:
    shapes = {name: tensor.shape for name, tensor in generator.state_dict().items()}

    assert Layout.from_shapes(shapes) == SMALL


@torch.inference_mode()
def test_a_bound_keeps_the_picture_within_it() -> None:
    torch.manual_seed(0)
    net = Generator(replace(SMALL, clamp=0.01))

    # The picture is the sum of one bounded part for each resolution.
    assert float(net(*given()).abs().max()) <= 0.01 * len(SMALL.features) * 4
