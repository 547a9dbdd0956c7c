"""The allow-list of networks, schedulers and their arguments."""

from __future__ import annotations

from typing import Any

import pytest

from napari_medsyn.registry.importers.monai_bundle_parts import (
    network_arguments,
    network_kind,
    scheduler_arguments,
    scheduler_kind,
)

UNET: dict[str, Any] = {
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 1,
    "channels": [4, 8],
    "attention_levels": [False, True],
}


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("AutoencoderKL", ("autoencoder", False)),
        ("monai.networks.nets.AutoencoderKL", ("autoencoder", False)),
        ("monai.networks.nets.diffusion_model_unet.DiffusionModelUNet", ("unet", False)),
        ("generative.networks.nets.DiffusionModelUNet", ("unet", True)),
        ("Generator", ("generator", False)),
    ],
)
def test_networks_of_monai_are_known(target: str, kind: tuple[str, bool]) -> None:
    assert network_kind(target) == kind


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "evil.AutoencoderKL",
        "evil.networks.nets.AutoencoderKL",
        "evil.monai.networks.nets.AutoencoderKL",
        "monai.networks.schedulers.AutoencoderKL",
        "monai.networks.nets.UNet",
        "AutoencoderKL\n",
        "$AutoencoderKL",
        "",
        None,
        ["AutoencoderKL"],
    ],
)
def test_everything_else_is_not(target: Any) -> None:
    assert network_kind(target) is None


def test_schedulers_are_known_by_their_names() -> None:
    assert scheduler_kind("generative.networks.schedulers.DDIMScheduler") == ("ddim", True)
    assert scheduler_kind("monai.networks.schedulers.ddpm.DDPMScheduler") == ("ddpm", False)
    assert scheduler_kind("monai.networks.schedulers.PNDMScheduler") is None
    assert scheduler_kind("monai.networks.nets.DDIMScheduler") is None


def test_old_names_of_arguments_become_the_present_ones() -> None:
    old = {name: value for name, value in UNET.items() if name != "channels"}
    assert network_arguments("unet", {"_target_": "X", **old, "num_channels": [4, 8]}) == UNET
    assert scheduler_arguments("ddim", {"beta_schedule": "scaled_linear", "beta_end": 1}) == {
        "schedule": "scaled_linear_beta",
        "beta_end": 1.0,
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"evil": 1}, "evil is not an argument"),
        ({"spatial_dims": 4}, "from 2 to 3"),
        ({"spatial_dims": True}, "whole number"),
        ({"channels": []}, "list of 1 to 12"),
        ({"channels": [4, "8"]}, "whole number"),
        ({"channels": [10**9]}, "from 1 to 8192"),
        ({"channels": [4] * 13}, "list of 1 to 12"),
        ({"attention_levels": [0, 1]}, "true or false"),
        ({"norm_eps": "1e-6"}, "must be a number"),
        ({"num_class_embeds": 3}, "class embeddings"),
        ({"transformer_num_layers": 1000}, "from 1 to 16"),
        ({"num_channels": [4, 8]}, "given twice"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        network_arguments("unet", {**UNET, **change})


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="channels is missing"):
        network_arguments("unet", {k: v for k, v in UNET.items() if k != "channels"})


@pytest.mark.parametrize(
    "change", [{"schedule": "cosine"}, {"variance_type": "learned"}, {"steps_offset": 1}]
)
def test_schedulers_are_given_nothing_strange(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be one of|is not an argument"):
        scheduler_arguments("ddpm", change)
