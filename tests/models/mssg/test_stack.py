"""Stacks of pictures: labels of positions, one person in all slices, truncation."""

from __future__ import annotations

import math

import pytest
import torch

from napari_medsyn.models.mssg.stack import (
    BRIGHTEST,
    COVARIATES,
    LABELS,
    as_intensity,
    as_picture,
    centre,
    labels,
    position_labels,
    positions,
    stack,
)
from napari_medsyn.models.stylegan2.network import Generator, Layout

LAYOUT = Layout(z=4, c=LABELS, w=6, channels=1, layers=2, features=(6, 5), rate=0.1)


def network() -> Generator:
    torch.manual_seed(3)
    return Generator(LAYOUT).eval()


def person() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(4)
    return torch.randn(LAYOUT.z), torch.randn(COVARIATES)


def test_positions_go_from_the_lowest_to_the_highest_slice() -> None:
    assert positions(torch.tensor([0.0, 1.0, 4.0]), 5).tolist() == [-1, -0.5, 1]


def test_a_position_becomes_itself_and_its_waves() -> None:
    row = position_labels(torch.tensor([0.5]))[0]
    waves = [math.sin(math.pi * 0.5 * k) for k in (1, 2, 3)]
    waves += [math.cos(math.pi * 0.5 * k) for k in (1, 2, 3)]
    torch.testing.assert_close(row, torch.tensor([0.5, *waves]), atol=1e-6, rtol=0)


def test_labels_are_covariates_then_position() -> None:
    row = labels(torch.arange(5.0)[None], torch.tensor([0.25]))[0]
    assert row.shape == (LABELS,)
    assert row[:6].tolist() == [0, 1, 2, 3, 4, 0.25]


@pytest.mark.parametrize(("intensity", "value"), [(0.0, -1.0), (BRIGHTEST / 2, 0.0), (1.2, 1.0)])
def test_intensity_and_picture_are_inverse(intensity: float, value: float) -> None:
    assert float(as_picture(torch.tensor(intensity))) == pytest.approx(value)
    assert float(as_intensity(torch.tensor(value))) == pytest.approx(intensity)


def test_what_is_beyond_the_range_is_cut() -> None:
    assert float(as_picture(torch.tensor(1.5))) == 1
    assert float(as_intensity(torch.tensor(-3.0))) == 0


def test_slices_are_the_network_s_pictures_of_one_latent() -> None:
    net, (z, c) = network(), person()
    made = stack(net, z, c, torch.tensor([-0.5, 0.5]))

    with torch.no_grad():
        second = net(z[None], labels(c[None], torch.tensor([0.5])))
    torch.testing.assert_close(made[1], as_intensity(second)[0, 0])
    assert not torch.allclose(made[0], made[1])


def test_a_slice_is_the_same_whichever_others_are_drawn() -> None:
    net, (z, c) = network(), person()
    alone = stack(net, z, c, torch.tensor([0.2]), psi=0.6)
    among = stack(net, z, c, torch.tensor([-1.0, 0.2, 0.9]), psi=0.6)
    torch.testing.assert_close(alone[0], among[1], atol=1e-5, rtol=0)


def test_no_truncation_left_makes_everybody_alike_but_keeps_position_and_covariates() -> None:
    net, (z, c) = network(), person()
    where = torch.tensor([-0.5, 0.5])
    mean = stack(net, z, c, where, psi=0)
    torch.testing.assert_close(mean, stack(net, z + 2, c, where, psi=0))
    assert not torch.allclose(mean, stack(net, z, c + 1, where, psi=0))
    assert not torch.allclose(mean[0], mean[1])


def test_half_the_truncation_is_half_way_to_the_mean_style() -> None:
    net, (z, c) = network(), person()
    where = torch.tensor([0.3])
    row = labels(c[None], where)
    with torch.no_grad():
        half = (net.mapping(z[None], row) + centre(net, row)) / 2
        expected = net.synthesis(half[:, None].expand(-1, LAYOUT.styles, -1))
    torch.testing.assert_close(stack(net, z, c, where, psi=0.5), as_intensity(expected[:, 0]))
