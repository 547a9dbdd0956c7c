"""The published network: its layout, its equations and a few of its numbers.

`tests/real/test_mmhvae_reference.py` compares whole outputs with those of the authors'
code; the numbers stored here guard the same equality where that reference is absent.
"""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from tests.models._nets import PUBLISHED, make_images, make_net

from napari_medsyn.models.mmhvae import MMHVAE, Topology

#: From the released code: entries of the state dict and parameters by their first name.
ENTRIES = {
    "conv_blocks_context": 224,
    "final_blocks": 112,
    "conv_blocks_localization": 60,
    "qz": 60,
    "td": 48,
    "pz": 12,
    "first_conv": 8,
    "tu": 6,
    "bottleneck_down": 3,
    "bottleneck_up": 3,
}
PARAMETERS = {
    "conv_blocks_context": 5_149_680,
    "conv_blocks_localization": 3_601_066,
    "td": 2_158_976,
    "qz": 1_535_844,
    "bottleneck_down": 590_848,
    "tu": 343_296,
    "bottleneck_up": 297_216,
    "pz": 55_024,
    "final_blocks": 42_180,
    "first_conv": 640,
}


@pytest.fixture(scope="module")
def whole() -> MMHVAE:
    """The network at its published size, without memory for its weights."""
    with torch.device("meta"):
        return MMHVAE(Topology.published())


@pytest.fixture(scope="module")
def net() -> MMHVAE:
    return make_net(PUBLISHED)


def test_it_has_the_published_parameters(whole):
    counted: Counter[str] = Counter()
    for name, parameter in whole.named_parameters():
        counted[name.split(".")[0]] += parameter.numel()
    assert counted == PARAMETERS
    assert counted.total() == 13_774_770


def test_its_state_dict_has_the_published_entries(whole):
    names = list(whole.state_dict())
    assert Counter(name.split(".")[0] for name in names) == ENTRIES
    assert len(names) == 536


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("first_conv.us.weight", (16, 1, 3, 3)),
        ("conv_blocks_context.flair.6.conv_1.weight", (128, 128, 3, 3)),
        ("conv_blocks_context.t2.0.se.se.0.weight", (4, 16)),
        ("td.cet1.0.weight", (32, 16, 3, 3)),
        ("bottleneck_down.linear.parametrizations.weight.original1", (512, 1152)),
        ("bottleneck_up.linear.parametrizations.weight.original0", (1152, 1)),
        ("tu.5.conv_1.weight", (16, 16, 3, 3)),
        ("conv_blocks_localization.0.dw_conv_1.weight", (768, 1, 5, 5)),
        ("conv_blocks_localization.0.se_2.se.2.weight", (768, 48)),
        ("qz.0.conv_0.weight", (128, 256, 3, 3)),
        ("qz.0.last_conv.parametrizations.weight.original0", (128, 1, 1, 1)),
        ("pz.5.parametrizations.weight.original1", (16, 16, 1, 1)),
        ("final_blocks.us.res.5.conv_block.5.weight", (8, 8, 3, 3)),
        ("final_blocks.flair.convt3.weight", (1, 8, 7, 7)),
    ],
)
def test_names_and_shapes_of_entries(whole, name, shape):
    assert tuple(whole.state_dict()[name].shape) == shape


def test_a_head_of_another_width_begins_with_a_1x1_convolution():
    net = MMHVAE(PUBLISHED)  # z_1 has 2 channels, as the heads
    assert "final_blocks.us.res.0.conv_block.1.weight" in net.state_dict()
    wider = Topology.published(base=4, pools=3, maximum=16, side=32, head_features=5, head_blocks=1)
    state = MMHVAE(wider).state_dict()
    assert tuple(state["final_blocks.us.res.0.weight"].shape) == (5, 2, 1, 1)
    assert "final_blocks.us.res.1.conv_block.1.weight" in state


def test_latents_have_the_published_shapes(whole):
    slices = torch.empty(1, 1, 192, 192, device="meta")
    decoded = whole.decode({"us": whole.encode("us", slices)}, keep_latents=True)
    expected = [
        (1, 256),
        (1, 64, 6, 6),
        (1, 64, 12, 12),
        (1, 64, 24, 24),
        (1, 32, 48, 48),
        (1, 16, 96, 96),
        (1, 8, 192, 192),
    ]
    for gaussians in (decoded.posteriors, decoded.priors):
        assert [tuple(g.mean.shape) for g in gaussians] == expected
        assert [tuple(g.std.shape) for g in gaussians] == expected
    assert {m: tuple(y.shape) for m, y in decoded.mean.items()} == dict.fromkeys(
        ("us", "t2", "cet1", "flair"), (1, 1, 192, 192)
    )


@torch.inference_mode()
def test_order_of_modalities_matters_for_the_background_only(net):
    images = make_images(PUBLISHED)
    one = net({m: images[m] for m in ("us", "t2", "flair")})
    other = net({m: images[m] for m in ("flair", "us", "t2")})
    # make_images: the background of us are 2 rows, that of flair 5.
    for modality, y in one.items():
        torch.testing.assert_close(y[:, :, 5:], other[modality][:, :, 5:], atol=1e-5, rtol=0)
        assert (y[:, :, :2] == -1).all()
        assert (y[:, :, 2:] > -1).all()
        assert (other[modality][:, :, :5] == -1).all()


@torch.inference_mode()
def test_a_missing_modality_is_left_out_not_read_as_background(net):
    images = make_images(PUBLISHED)
    left_out = net({"us": images["us"]})
    as_background = net({"us": images["us"], "t2": torch.full_like(images["t2"], -1)})
    assert (left_out["flair"] - as_background["flair"]).abs().max() > 1e-3


@torch.inference_mode()
def test_without_noise_and_at_temperature_0_the_mean_is_followed(net):
    images = {"t2": make_images(PUBLISHED)["t2"]}
    noise = lambda _, like: torch.ones_like(like)  # noqa: E731
    mean = net(images)
    for same in (net(images, noise=noise, temperature=0.0), net(images, temperature=0.7)):
        assert all(torch.equal(mean[m], same[m]) for m in mean)
    moved = net(images, noise=noise, temperature=0.7)
    assert all((mean[m] - moved[m]).abs().max() > 1e-3 for m in mean)


@torch.inference_mode()
def test_targets_are_the_only_outputs_and_the_same(net):
    images = {"t2": make_images(PUBLISHED)["t2"]}
    everything, some = net(images), net(images, targets=["flair", "us"])
    assert list(some) == ["flair", "us"]
    assert all(torch.equal(some[m], everything[m]) for m in some)


def test_nothing_present_is_refused(net):
    with pytest.raises(ValueError, match="at least one modality"):
        net.decode({})


@pytest.mark.parametrize(
    ("subset", "target", "expected"),
    [
        (["t2"], "us", [0.17828, -0.20084, -0.29113, -0.23728, -0.08192, -0.13074]),
        (["t2", "flair"], "cet1", [0.31511, -0.24747, -0.25974, -0.33303, -0.03094, -0.14364]),
        (["flair", "cet1"], "t2", [-0.26228, -0.32401, -0.34605, -0.2318, -0.13066, -0.12273]),
        (
            ["us", "t2", "cet1", "flair"],
            "flair",
            [-0.79364, -0.0724, -0.11161, 0.50478, -0.09278, -0.01165],
        ),
    ],
)
@torch.inference_mode()
def test_stored_numbers(net, subset, target, expected):
    # Made by this code on the day on which its outputs for the weights of the authors' own
    # class agreed with theirs to 4e-6 (tests/real/test_mmhvae_reference.py), with weights
    # and images by the formula of `_nets`: five values of the second slice, and the mean.
    images = make_images(PUBLISHED)
    y = net({m: images[m] for m in subset})[target][1, 0]
    where = [(6, 7), (12, 30), (17, 16), (25, 3), (31, 31)]
    got = [*(float(y[i, j]) for i, j in where), float(y.mean())]
    assert got == pytest.approx(expected, abs=1e-4)
