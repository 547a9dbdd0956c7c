"""The fast forward pass is the generator's, and styles are mixed at one place."""

from __future__ import annotations

import torch
from training.mssg.stack.drawing import draw, mixed

from napari_medsyn.models.stylegan2.network import Generator, Layout

LAYOUT = Layout(z=4, c=3, w=6, channels=1, layers=2, features=(7, 6, 5))


def network() -> Generator:
    torch.manual_seed(1)
    net = Generator(LAYOUT)
    for name, parameter in net.named_parameters():
        # Zero at the start, when noise could be forgotten without anybody seeing it.
        if name.endswith(("noise_strength", "bias")):
            torch.nn.init.normal_(parameter)
    return net


def test_pictures_are_those_of_the_generator() -> None:
    net = network()
    styles = torch.randn(3, LAYOUT.styles, LAYOUT.w)
    torch.testing.assert_close(draw(net, styles), net.synthesis(styles), atol=1e-4, rtol=1e-4)


def test_gradients_are_those_of_the_generator() -> None:
    net = network()
    styles = torch.randn(3, LAYOUT.styles, LAYOUT.w)
    parameters = [p for n, p in net.named_parameters() if n.startswith("synthesis")]
    fast = torch.autograd.grad(draw(net, styles).square().sum(), parameters)
    slow = torch.autograd.grad(net.synthesis(styles).square().sum(), parameters)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def test_nobody_is_mixed_if_nobody_shall_be() -> None:
    net = network()
    z, other, c = torch.randn(5, 4), torch.randn(5, 4), torch.randn(5, 3)
    expected = net.mapping(z, c)[:, None].expand(-1, LAYOUT.styles, -1)
    torch.testing.assert_close(mixed(net, z, other, c, share=0.0), expected)


def test_everybody_changes_to_the_other_latent_once() -> None:
    net = network()
    z, other, c = torch.randn(9, 4), torch.randn(9, 4), torch.randn(9, 3)
    styles = mixed(net, z, other, c, share=1.0)
    first = torch.isclose(styles, net.mapping(z, c)[:, None], atol=1e-5).all(dim=2)
    second = torch.isclose(styles, net.mapping(other, c)[:, None], atol=1e-5).all(dim=2)
    assert bool((first ^ second).all())
    assert bool(first[:, 0].all())
    assert bool(second[:, -1].all())
    assert bool((first.int().diff(dim=1) <= 0).all())
