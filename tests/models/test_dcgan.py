from __future__ import annotations

import pytest
import torch
from tests.models._dcgan import ARCHITECTURE, random_weights
from torch import nn

from napari_medsyn.models.dcgan import DCGANLayout, Generator

PLAIN = DCGANLayout(latent=7, channels=(8, 4, 3), images=2)


def published(nz: int, ngf: int, nc: int) -> nn.Sequential:
    """The generator for 64 x 64 pixels as it is usually written down."""
    return nn.Sequential(
        nn.ConvTranspose2d(nz, ngf * 8, 4, 1, 0, bias=False),
        nn.BatchNorm2d(ngf * 8),
        nn.ReLU(),
        nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False),
        nn.BatchNorm2d(ngf * 4),
        nn.ReLU(),
        nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
        nn.BatchNorm2d(ngf * 2),
        nn.ReLU(),
        nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
        nn.BatchNorm2d(ngf),
        nn.ReLU(),
        nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


def test_the_usual_generator_s_state_dict_is_read_as_it_is():
    torch.manual_seed(1)
    reference = published(nz=10, ngf=2, nc=1)
    for _ in range(3):  # so that the running statistics are no longer 0 and 1
        reference(torch.randn(8, 10, 1, 1))
    net = Generator(DCGANLayout(latent=10, channels=(16, 8, 4, 2)))
    state = {f"main.{name}": tensor for name, tensor in reference.state_dict().items()}
    net.load_state_dict(state, strict=True)
    z = torch.randn(3, 10)
    with torch.inference_mode():
        expected = reference.eval()(z[:, :, None, None])
        torch.testing.assert_close(net.eval()(z), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "channels", "size"),
    [
        ((4, 4), (8, 8, 8), (32, 32)),
        ((4, 4), (8,) * 6, (256, 256)),
        ((5, 7), (8, 8, 8, 8), (80, 112)),
        ((7, 7), (8, 8, 8, 8, 8), (224, 224)),
    ],
)
def test_the_image_doubles_with_every_layer(start, channels, size):
    layout = DCGANLayout(latent=3, channels=channels, start=start)
    assert layout.size == size
    with torch.device("meta"):
        assert Generator(layout)(torch.zeros(2, 3)).shape == (2, 1, *size)


def test_weights_are_counted_as_they_are():
    layout = DCGANLayout.from_card(ARCHITECTURE, images=2)
    counted = sum(m.weight.numel() for m in Generator(layout).modules() if is_convolution(m))
    # 8 in, 6 out, 4 x 6; then 4 x 4 each: 6 to 4, 4 to 4, 4 to 2.
    assert layout.weights == counted == 8 * 6 * 24 + 16 * (24 + 16 + 8)


def is_convolution(module: nn.Module) -> bool:
    return isinstance(module, nn.ConvTranspose2d)


@pytest.mark.parametrize("embedding", [0, 3])
def test_a_class_is_concatenated_to_the_latent(embedding):
    """The same as an unconditional generator that is given latent and class as one vector."""
    layout = DCGANLayout(latent=4, channels=(4, 4, 4), classes=3, embedding=embedding)
    net = Generator(layout).eval()
    net.load_state_dict(random_weights(layout))
    wide = Generator(DCGANLayout(latent=4 + (embedding or 3), channels=(4, 4, 4))).eval()
    state = net.state_dict()
    table = state.pop("embedding.weight", torch.eye(3))
    wide.load_state_dict(state)
    z, meant = torch.randn(2, 4), torch.tensor([2, 0])
    with torch.inference_mode():
        expected = wide(torch.cat([z, table[meant]], dim=1))
        assert torch.equal(net(z, meant), expected)


def test_a_class_that_is_missing_is_refused():
    with pytest.raises(ValueError, match="a class must be given"):
        Generator(DCGANLayout.from_card(ARCHITECTURE, 2))(torch.zeros(1, 5))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"latent": 0}, "latent 0 is not a whole number from 1 to 4096"),
        ({"latent": 10**9}, "latent 1000000000 is not"),
        ({"latent": True}, "latent True is not"),
        ({"latent": "100"}, "latent '100' is not"),
        ({"channels": [8]}, "number of channels 1 is not a whole number from 2 to 8"),
        ({"channels": [8, 8, 100000]}, "channels 100000 is not"),
        ({"channels": 8}, "channels 8 is not a list"),
        ({"start": [4, 64]}, "side of the image 512 is not a whole number from 32 to 256"),
        ({"start": [2, 2]}, "side of the image 16 is not"),
        ({"start": [4]}, "unpack"),
        ({"classes": 1}, "at least 2"),
        ({"classes": 0}, "an embedding belongs to them"),
        ({"prior": "cauchy"}, "prior 'cauchy' is neither"),
        ({"layers": 3}, "architecture has no key 'layers'"),
    ],
)
def test_what_is_out_of_bounds_is_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        DCGANLayout.from_card({**ARCHITECTURE, **changes}, images=2)


def test_a_huge_generator_is_refused_before_it_is_made():
    layout = DCGANLayout(latent=4096, channels=(2048, 2048, 2048, 2048, 64, 64))
    with torch.device("meta"), pytest.raises(ValueError, match="exceeds the most, 200000000"):
        Generator(layout)
