"""Small MONAI bundles of the form of the published ones, with made-up weights.

The weights in the old spelling are made from MONAI's present networks by undoing the renames
that `load_old_state_dict` does; `proj_attn`, which the old blocks had and never applied, is
filled with numbers that must not matter.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tests.models._nets import wave
from tests.registry.importers._monai_configs import (
    BRAIN,
    BRAIN_AUTOENCODER,
    BRAIN_METADATA,
    BRAIN_UNET,
    GAN,
    GAN_METADATA,
    HANDS,
    HANDS_METADATA,
    SLICES,
    SLICES_METADATA,
)
from torch import Tensor, nn


def plain(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    """One part of a configuration, its references to plain values replaced."""
    part = config[key]

    def value(told: Any) -> Any:
        if isinstance(told, list):
            return [value(item) for item in told]
        if isinstance(told, str) and told.startswith("@"):
            return value(config[told[1:]])
        return told

    return {name: value(told) for name, told in part.items()}


def network(part: Mapping[str, Any], seed: int = 0, **changes: Any) -> nn.Module:
    """MONAI's present network of a plain description, with made-up weights."""
    from monai.networks import nets

    renamed = {"num_channels": "channels"}
    arguments = {renamed.get(name, name): told for name, told in part.items() if name[0] != "_"}
    build = getattr(nets, part["_target_"].rsplit(".", 1)[-1])
    return randomised(build(**{**arguments, **changes}), seed)


def randomised(net: nn.Module, seed: int) -> nn.Module:
    """The network with numbers that follow from each weight's old name, zeros nowhere.

    So a network in the old spelling and its present counterpart get the same weights.
    """
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            phase = zlib.crc32(f"{seed}/{old_name(name)}".encode()) % 1000
            drawn = wave(parameter.shape, phase)
            if parameter.ndim > 1:
                parameter.copy_(1.4 * drawn / parameter[0].numel() ** 0.5)
            else:
                parameter.copy_(0.3 * drawn + (1.0 if name.endswith("weight") else 0.0))
    return net.eval()


def old_name(name: str) -> str:
    """What a weight of MONAI's present networks is called in the package `generative`."""
    if "transformer_blocks" in name:
        return name.replace(".out_proj.", ".to_out.0.")
    name = re.sub(r"\.attn\.(to_[qkv])\.", r".\1.", name.replace("postconv.", "conv."))
    return name.replace(".attn.out_proj.", ".proj_attn.")


def old_spelling(net: nn.Module) -> dict[str, Tensor]:
    """The weights under the names of the package `generative`."""
    old = {old_name(name): tensor.clone() for name, tensor in net.state_dict().items()}
    for name in [n for n in old if n.endswith(".to_q.bias")]:
        # The old blocks had a projection, and never applied it.
        block, bias = name.removesuffix(".to_q.bias"), old[name]
        old.setdefault(f"{block}.proj_attn.weight", torch.full((bias.numel(),) * 2, 7.0))
        old.setdefault(f"{block}.proj_attn.bias", torch.full(bias.shape, -7.0))
    return old


def write_bundle(
    folder: Path,
    config: Mapping[str, Any],
    metadata: Mapping[str, Any],
    weights: Mapping[str, Mapping[str, Tensor]],
) -> Path:
    """A bundle's folder; each of `weights` is a file of `models`, safetensors or torch's."""
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    (folder / "models").mkdir(exist_ok=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    for name, state in weights.items():
        path = folder / "models" / name
        if path.suffix == ".safetensors":
            save_file(dict(state), path)
        else:
            torch.save(dict(state), path)  # noqa: TID251 - what published bundles hold
    return folder


def write_brain(folder: Path, **changes: Any) -> Path:
    """The small brain bundle, old spelling throughout; `changes` replace keys of the config."""
    weights = {
        "autoencoder.pth": old_spelling(network(BRAIN_AUTOENCODER, 1)),
        "diffusion_model.pth": old_spelling(network(BRAIN_UNET, 2)),
    }
    return write_bundle(folder, {**BRAIN, **changes}, BRAIN_METADATA, weights)


def write_gan(folder: Path, **changes: Any) -> Path:
    """The small generator's bundle."""
    net = network(plain(GAN, "network_def"), 3)
    return write_bundle(folder, {**GAN, **changes}, GAN_METADATA, {"model.pt": net.state_dict()})


def write_slices(folder: Path, **changes: Any) -> Path:
    """The small bundle of axial slices, its weights in the old spelling."""
    weights = {
        "model_autoencoder.pt": old_spelling(network(plain(SLICES, "autoencoder_def"), 4)),
        "model.pt": old_spelling(network(plain(SLICES, "network_def"), 5)),
    }
    return write_bundle(folder, {**SLICES, **changes}, SLICES_METADATA, weights)


def write_hands(folder: Path, **changes: Any) -> Path:
    """The small diffusion in pixels; the old block's projection is not applied."""
    net = network(plain(HANDS, "network_def"), 6, include_fc=False)
    return write_bundle(
        folder, {**HANDS, **changes}, HANDS_METADATA, {"model.pt": old_spelling(net)}
    )
