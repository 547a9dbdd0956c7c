"""All that a run needs to go on, as one safetensors file; averages of weights."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from training.harness.recipe import Player

FORMAT = "medsyn-training-1"


class Average:
    """Exponential moving average of a network's parameters; its buffers are copied.

    The decay rises with the steps, (1 + n) / (10 + n), until it reaches `decay`, so that
    the beginning is soon forgotten (as TensorFlow's ``ExponentialMovingAverage`` does with
    ``num_updates``).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, steps: int) -> None:
        """Take in the weights after `steps` steps."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        for mean, weight in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)
        for copied, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            copied.copy_(buffer)


def collect(players: Mapping[str, Player], averages: Mapping[str, Average]) -> dict[str, Tensor]:
    """Networks, averages and optimisers as tensors by path."""
    state: dict[str, Tensor] = {}
    for name, player in players.items():
        state |= {f"network/{name}/{k}": v for k, v in player.network.state_dict().items()}
        for index, moments in player.optimiser.state_dict()["state"].items():
            for key, value in moments.items():
                state[f"optimiser/{name}/{index}/{key}"] = torch.as_tensor(value)
    for name, average in averages.items():
        state |= {f"average/{name}/{k}": v for k, v in average.network.state_dict().items()}
    return state


def restore(
    state: Mapping[str, Tensor], players: Mapping[str, Player], averages: Mapping[str, Average]
) -> None:
    """Put `collect`'s tensors back; all that is expected must be there."""
    for name, player in players.items():
        player.network.load_state_dict(_below(state, f"network/{name}/"))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(state, f"optimiser/{name}/").items():
            index, _, moment = key.partition("/")
            moments.setdefault(int(index), {})[moment] = value
        groups = player.optimiser.state_dict()["param_groups"]
        player.optimiser.load_state_dict({"state": moments, "param_groups": groups})
    for name, average in averages.items():
        average.network.load_state_dict(_below(state, f"average/{name}/"))


def write(
    path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None
) -> None:
    """Write safetensors beside `path`, then put them in its place.

    Parameters
    ----------
    facts : JSON values, for `read`; None for a file of weights, which has none.
    """
    partial = path.with_suffix(".part")
    metadata = None if facts is None else {"format": FORMAT, "facts": json.dumps(facts)}
    contiguous = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    save_file(contiguous, partial, metadata)
    os.replace(partial, path)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts of a file that `write` wrote.

    Raises
    ------
    ValueError : the file is damaged, or not a checkpoint of this harness.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(
                    f"{path} is not a checkpoint of this version; start the run again elsewhere"
                )
            return {k: file.get_tensor(k) for k in file.keys()}, json.loads(metadata["facts"])  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); remove it and start again") from error


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
