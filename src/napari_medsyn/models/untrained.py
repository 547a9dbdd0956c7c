"""Networks that have learned nothing, for packages that are still to be filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from napari_medsyn.models.mmhvae import MMHVAE, Topology


def untrained_mmhvae(architecture: Mapping[str, Any]) -> bytes:
    """Weights of an MMHVAE as it is before its training, always the same.

    Parameters
    ----------
    architecture : as on a card.

    Returns
    -------
    The content of a safetensors file.
    """
    from safetensors.torch import save

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = MMHVAE(Topology.from_card(architecture))
    return bytes(save({name: tensor.contiguous() for name, tensor in net.state_dict().items()}))
