"""Sizes, style mixing and foldings of the generator."""

from __future__ import annotations

import torch
from tests.models.mssg._generators import generator

from napari_medsyn.models.mssg.generator import (
    GROUPS,
    MultiSourceGenerator,
    Sizes,
    group_ends,
    mixed,
)


def test_sizes_are_read_off_the_tensors() -> None:
    net = MultiSourceGenerator(Sizes(16, 24, 3, 40, 5, 6, 100, 4), directions=2)
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    assert Sizes.from_shapes(shapes) == net.sizes


def test_one_style_is_the_same_as_that_style_for_each_group() -> None:
    net = generator()
    w = net.style(torch.randn(2, net.sizes.z), torch.randn(2, 5))
    one, each = net.coefficients(w), net.coefficients(w[:, None].expand(-1, GROUPS, -1))
    assert torch.equal(one.shape, each.shape)
    assert torch.equal(one.lesion, each.lesion)


def test_mixing_takes_the_finest_groups_from_the_other() -> None:
    net = generator()
    torch.manual_seed(0)
    for affine in net.affines:
        torch.nn.init.normal_(affine.weight)
    a, b = torch.randn(2, 1, net.sizes.w)
    first, second = net.coefficients(a), net.coefficients(b)
    some = net.coefficients(mixed(a, b, 3))
    coarse = group_ends(net.sizes.shapes)[2][1]
    assert torch.equal(some.shape[:, :coarse], first.shape[:, :coarse])
    assert torch.equal(some.shape[:, coarse:], second.shape[:, coarse:])
    assert torch.equal(some.appearance, second.appearance)
    assert torch.equal(mixed(a, b, 0)[:, -1], a)


def test_truncation_at_zero_is_the_average_style() -> None:
    net = generator()
    w = net.style(torch.randn(3, net.sizes.z), torch.randn(3, 5), 0.0)
    assert torch.allclose(w, net.mapping.w_avg.expand(3, -1))


def test_the_folding_is_the_persons_and_never_the_mean() -> None:
    net = MultiSourceGenerator(Sizes(16, 24, 1, 33, 2, 2, 10, 5))
    z = torch.randn(200, 16)
    fold = net.fold(z)
    assert fold is not None
    assert sorted(set(fold.tolist())) == [1, 2, 3, 4]
    assert generator().fold(z[:, :4]) is None
