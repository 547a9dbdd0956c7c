"""MONAI's networks from an allow-listed description; MONAI itself is imported when asked for.

A card can name neither code nor classes: it holds a kind and literal arguments, which pass
the importer's checks again before a constructor sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.importers.monai_bundle_parts import ARGUMENTS, Kind, network_arguments

#: What building a network raises where its arguments contradict each other.
MISFITS: Final[tuple[type[Exception], ...]] = (
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    ZeroDivisionError,
    AttributeError,
    RuntimeError,
)
MISSING: Final = (
    "its networks are MONAI's, which is not installed here; install it with "
    'pip install "napari-medsyn[monai]"'
)


def classes() -> Mapping[Kind, type[nn.Module]]:
    """MONAI's class of each kind of network.

    Raises
    ------
    UnusableModel : MONAI is not installed; says how to install it.
    """
    try:
        # The attention blocks need it, and MONAI reports its lack only when they are built.
        import einops  # noqa: F401
        from monai.networks.nets.autoencoderkl import AutoencoderKL
        from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
        from monai.networks.nets.generator import Generator
    except ImportError as error:
        raise UnusableModel(f"MONAI bundle: {MISSING}") from error
    return {"autoencoder": AutoencoderKL, "unet": DiffusionModelUNet, "generator": Generator}


def empty_network(kind: Kind, arguments: Mapping[str, Any]) -> nn.Module:
    """The network without memory for its weights (on torch's meta device).

    Raises
    ------
    ValueError : the arguments are not allowed, or MONAI cannot build a network from them.
    """
    if kind not in ARGUMENTS:
        raise ValueError(f"{kind!r} is not a kind of network")
    checked = network_arguments(kind, arguments)
    # Gives the same numbers, but is refused by MONAI where there is no GPU.
    checked.pop("use_flash_attention", None)
    build = classes()[kind]
    try:
        with torch.device("meta"):
            return build(**checked)
    except MISFITS as error:
        raise ValueError(f"MONAI builds no {kind} from these arguments ({first(error)})") from error


def check_shapes(net: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Compare names and shapes before anything is allocated.

    Raises
    ------
    ValueError : the first tensor that is missing, unknown or of another shape.
    """
    expected = net.state_dict()
    for name in expected:
        if name not in tensors:
            raise ValueError(f"the weights of the {what} lack {name}")
        if tensors[name].shape != expected[name].shape:
            raise ValueError(
                f"{name} of the {what} has the shape {tuple(tensors[name].shape)} where its "
                f"arguments give {tuple(expected[name].shape)}"
            )
    strange = next((name for name in tensors if name not in expected), None)
    if strange is not None:
        raise ValueError(f"the weights of the {what} hold {strange}, which it does not have")


def filled_network(
    kind: Kind, arguments: Mapping[str, Any], tensors: Mapping[str, Tensor], device: str
) -> nn.Module:
    """The network with `tensors` as its weights, ready for inference on `device`.

    Raises
    ------
    ValueError : description and weights do not fit each other.
    """
    net = empty_network(kind, arguments)
    check_shapes(net, tensors, kind)
    # `assign` takes the tensors themselves: the weights are in memory once.
    net.load_state_dict(dict(tensors), strict=True, assign=True)
    return net.eval().requires_grad_(False).to(device)


def read_networks(
    described: Mapping[Kind, Mapping[str, Any]], weights: Path, device: str
) -> dict[Kind, nn.Module]:
    """Every network of a package, from the one safetensors file with a prefix for each.

    Parameters
    ----------
    described : kind to the arguments of MONAI's class.

    Raises
    ------
    UnusableModel : the weights are not those of the networks, or MONAI is missing.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    classes()
    failures: tuple[type[Exception], ...] = (*MISFITS, SafetensorError)
    try:
        tensors = load_file(weights, device=device)
        nets = {
            kind: filled_network(kind, arguments, under(tensors, f"{kind}."), device)
            for kind, arguments in described.items()
        }
        known = tuple(f"{kind}." for kind in described)
        strange = next((name for name in tensors if not name.startswith(known)), None)
        if strange is not None:
            raise ValueError(f"{strange} belongs to no network of the card")
    except failures as error:
        raise UnusableModel(
            f"{weights}: the weights do not fit the card's architecture ({first(error)}); get the "
            "package again"
        ) from error
    return nets


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def first(error: Exception) -> str:
    """The first telling line of an error."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.endswith(":")] or lines
    return telling[0][:200].rstrip(".") if telling else type(error).__name__
