"""Networks from allow-listed descriptions."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.models.monai._bundles import network, plain
from tests.registry.importers._monai_configs import GAN, SLICES

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.monai.networks import (
    check_shapes,
    empty_network,
    filled_network,
    read_networks,
)

UNET = plain(SLICES, "network_def")
ARGUMENTS = {name: value for name, value in UNET.items() if name != "_target_"}


def test_an_empty_network_takes_no_memory() -> None:
    net = empty_network("unet", {**ARGUMENTS, "channels": [512, 1024], "num_head_channels": 512})
    assert all(parameter.is_meta for parameter in net.parameters())


def test_flash_attention_is_left_out_since_monai_builds_it_with_a_gpu_only() -> None:
    assert empty_network("unet", {**ARGUMENTS, "use_flash_attention": True})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"evil": 1}, "evil is not an argument"),
        ({"norm_num_groups": 3}, "MONAI builds no unet .*multiple of norm_num_groups"),
        ({"channels": [4]}, "MONAI builds no unet"),
    ],
)
def test_arguments_that_make_no_network_are_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        empty_network("unet", {**ARGUMENTS, **change})


def test_a_card_cannot_name_another_class() -> None:
    with pytest.raises(ValueError, match="not a kind of network"):
        empty_network("UNETR", ARGUMENTS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conv_in.conv.weight": torch.zeros(1)}, "has the shape"),
        ({"conv_in.conv.weight": None}, r"lack conv_in\.conv\.weight"),
        ({"evil": torch.zeros(1)}, "hold evil"),
    ],
)
def test_weights_that_do_not_fit_are_named(change: dict[str, Any], reason: str) -> None:
    state = {**network(UNET).state_dict(), **change}
    tensors = {name: tensor for name, tensor in state.items() if tensor is not None}
    with pytest.raises(ValueError, match=reason):
        check_shapes(empty_network("unet", ARGUMENTS), tensors, "unet")


def test_a_filled_network_computes_as_monais_own() -> None:
    net = network(UNET)
    ours = filled_network("unet", ARGUMENTS, net.state_dict(), "cpu")
    x, t = torch.full((1, 1, 8, 4), 0.3), torch.tensor([500])
    with torch.inference_mode():
        torch.testing.assert_close(ours(x, t), net(x, t), rtol=0, atol=0)
    assert not any(parameter.requires_grad for parameter in ours.parameters())


def test_a_package_is_read_by_prefix(tmp_path: Any) -> None:
    part = plain(GAN, "network_def")
    net = network(part)
    described = {k: v for k, v in part.items() if k != "_target_"}
    path = tmp_path / "weights.safetensors"
    tensors = {f"generator.{name}": tensor for name, tensor in net.state_dict().items()}
    save_file(tensors, path)
    nets = read_networks({"generator": described}, path, "cpu")
    z = torch.rand(2, 6)
    with torch.inference_mode():
        torch.testing.assert_close(nets["generator"](z), net(z), rtol=0, atol=0)
    save_file({**tensors, "stranger.x": torch.zeros(1)}, path)
    with pytest.raises(UnusableModel, match="belongs to no network"):
        read_networks({"generator": described}, path, "cpu")


def test_without_monai_the_sentence_names_the_extra(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "monai.networks.nets.generator", None)
    with pytest.raises(UnusableModel, match=r'pip install "napari-medsyn\[monai\]"'):
        read_networks({}, tmp_path / "weights.safetensors", "cpu")
