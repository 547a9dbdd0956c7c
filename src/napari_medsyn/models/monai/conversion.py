"""Weights of MONAI Generative (the package `generative`, 2023) in MONAI's present spelling.

MONAI's classes rename such weights themselves, by `load_old_state_dict`.  Whether the result
is right depends on `include_fc`, and the wrong value loads without complaint:

- the attention block of the old denoising network and autoencoder had a projection,
  `proj_attn`, but never applied it, so that `include_fc` has to be False;
- the transformer blocks of the old conditioned network applied theirs (`to_out`): True.

So the flag follows from which of the two the weights hold; what a bundle says itself about
the class it was published with goes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from napari_medsyn.models.monai.networks import check_shapes, empty_network
from napari_medsyn.registry.importers.monai_bundle_parts import Kind

#: Parts of names that only the old spelling has.
_OLD_ATTENTION, _OLD_TRANSFORMER = ".proj_attn.", ".to_out.0."


def converted(
    kind: Kind, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Arguments and weights of one network for MONAI's present class.

    Parameters
    ----------
    kind, arguments : of the network, as the bundle has them.
    weights : under their old or present names, on the CPU; not changed.

    Returns
    -------
    The arguments with the flags that these weights need, and the weights as float32.

    Raises
    ------
    ValueError : the weights are not those of this network.
    """
    complete = dict(arguments)
    if kind != "generator":
        complete.setdefault("include_fc", _has_projection(weights))
        complete.setdefault("use_combined_linear", any(".qkv." in name for name in weights))
    net = empty_network(kind, complete)
    names = set(net.state_dict())
    if kind != "generator" and not names.issuperset(weights):
        weights = _renamed(net, kind, weights)
    check_shapes(net, weights, kind)
    return complete, {name: _plain(name, weights[name]) for name in sorted(names)}


def _has_projection(weights: Mapping[str, Tensor]) -> bool:
    """Whether the network applies a projection after its self-attention."""
    if any(_OLD_TRANSFORMER in name for name in weights):
        return True
    if any(_OLD_ATTENTION in name for name in weights):
        return False
    attention = [name for name in weights if ".attn.to_q." in name or ".attn1.to_q." in name]
    projected = any(".attn.out_proj." in name or ".attn1.out_proj." in name for name in weights)
    return projected or not attention


def _renamed(net: torch.nn.Module, kind: Kind, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What MONAI's own `load_old_state_dict` makes of the old names, without allocating it.

    The network is on the meta device; where MONAI would copy the renamed weights into it,
    they are taken instead.
    """
    taken: dict[str, Tensor] = {}

    def take(state: Mapping[str, Tensor], **_: Any) -> None:
        taken.update(state)

    left = dict(weights)
    net.load_state_dict = take  # type: ignore[method-assign,assignment]
    try:
        net.load_old_state_dict(left)  # type: ignore[operator]
    except KeyError as error:
        raise ValueError(f"the weights of the {kind} lack {error.args[0]}") from error
    finally:
        del net.load_state_dict
    # What was never applied may be left over, and nothing else.
    strange = next((name for name in left if _OLD_ATTENTION not in name), None)
    if strange is not None:
        raise ValueError(f"the weights of the {kind} hold {strange}, which it does not have")
    missing = next((name for name, tensor in taken.items() if tensor.is_meta), None)
    if missing is not None:
        raise ValueError(f"the weights of the {kind} lack {missing}")
    return taken


def _plain(name: str, tensor: Tensor) -> Tensor:
    """Finite float32, contiguous."""
    if not tensor.is_floating_point():
        raise ValueError(f"{name} holds whole numbers, which no weight here does")
    if not bool(tensor.isfinite().all()):
        raise ValueError(f"{name} holds numbers that are not finite")
    return tensor.detach().to(torch.float32).contiguous()
