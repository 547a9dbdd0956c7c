"""Old weights in the present networks; MONAI's own loading is the reference."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.models.monai._bundles import network, old_spelling, plain
from tests.registry.importers._monai_configs import BRAIN_AUTOENCODER, BRAIN_UNET, HANDS, SLICES

from napari_medsyn.models.monai.conversion import converted
from napari_medsyn.registry.importers.monai_bundle_parts import Kind, network_arguments

#: Kind, description, and the flag that the present network needs for old weights.
CASES: list[tuple[Kind, dict[str, Any], bool]] = [
    ("unet", BRAIN_UNET, True),
    ("unet", plain(HANDS, "network_def"), False),
    ("autoencoder", BRAIN_AUTOENCODER, True),
    ("autoencoder", plain(SLICES, "autoencoder_def"), False),
]


def arguments_of(kind: Kind, part: dict[str, Any]) -> dict[str, Any]:
    arguments = network_arguments(kind, part)
    arguments.pop("include_fc", None)
    return arguments


@pytest.mark.parametrize(("kind", "part", "flag"), CASES)
def test_old_weights_become_what_monai_makes_of_them(
    kind: Kind, part: dict[str, Any], flag: bool
) -> None:
    net = network(part, 1, include_fc=flag)
    old = old_spelling(net)
    kept = dict(old)
    arguments, tensors = converted(kind, arguments_of(kind, part), old)
    # MONAI's own loading empties the dict it is given.
    reference = network(part, 99, include_fc=flag)
    reference.load_old_state_dict(dict(old))
    expected = reference.state_dict()
    assert (arguments["include_fc"], arguments["use_combined_linear"]) == (flag, False)
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)
    assert all(torch.equal(tensors[name], net.state_dict()[name]) for name in expected)
    assert old.keys() == kept.keys()


@pytest.mark.parametrize("flag", [True, False])
def test_present_weights_stay_as_they_are_and_tell_the_flag(flag: bool) -> None:
    part = plain(HANDS, "network_def")
    state = network(part, 1, include_fc=flag).state_dict()
    arguments, tensors = converted("unet", arguments_of("unet", part), state)
    assert arguments["include_fc"] is flag
    assert all(torch.equal(tensors[name], state[name]) for name in state)


def test_what_the_bundle_says_itself_goes_first() -> None:
    part = plain(HANDS, "network_def")
    old = old_spelling(network(part, 1, include_fc=False))
    said = {**arguments_of("unet", part), "include_fc": True}
    # It loads without complaint, and only an output tells that it is wrong (see golden).
    arguments, tensors = converted("unet", said, old)
    assert arguments["include_fc"] is True
    assert any(name.endswith("attn.out_proj.weight") for name in tensors)


def test_half_precision_becomes_single() -> None:
    state = {
        name: t.half() for name, t in network(plain(HANDS, "network_def")).state_dict().items()
    }
    _, tensors = converted("unet", arguments_of("unet", plain(HANDS, "network_def")), state)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conv_in.conv.weight": None}, r"lack conv_in\.conv\.weight"),
        ({"up_blocks.0.upsampler.conv.conv.weight": None}, "lack up_blocks"),
        ({"evil": torch.zeros(2)}, "hold evil"),
        ({"conv_in.conv.bias": torch.zeros(5)}, "has the shape"),
        ({"conv_in.conv.bias": torch.full((4,), torch.nan)}, "not finite"),
        ({"conv_in.conv.bias": torch.zeros(4, dtype=torch.int64)}, "whole numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: dict[str, Any], reason: str) -> None:
    part = plain(HANDS, "network_def")
    state = {**old_spelling(network(part, 1, include_fc=False)), **change}
    old = {name: tensor for name, tensor in state.items() if tensor is not None}
    with pytest.raises(ValueError, match=reason):
        converted("unet", arguments_of("unet", part), old)


def test_nothing_is_allocated_for_weights_of_another_size() -> None:
    huge = {**arguments_of("unet", plain(HANDS, "network_def")), "channels": [4096, 8192]}
    small = old_spelling(network(plain(HANDS, "network_def"), 1, include_fc=False))
    with pytest.raises(ValueError, match="has the shape"):
        converted("unet", {**huge, "num_head_channels": 4096}, small)
