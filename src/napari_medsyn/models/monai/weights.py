"""The tensors of a bundle's weight file, read as data."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from napari_medsyn.errors import UnusableFile
from napari_medsyn.models.monai.networks import under
from napari_medsyn.registry.importers.checkpoints import read_checkpoint
from napari_medsyn.registry.importers.monai_bundle_parts import Kind
from napari_medsyn.registry.packages import check_safetensors

#: What checkpoints wrap their state dict in.
_WRAPPERS: Final = (
    "state_dict", "model_state_dict", "unet_state_dict", "autoencoder_state_dict", "model",
    "network", "net", "unet", "diffusion", "autoencoder", "generator", "g_network",
)  # fmt: skip
#: What wrappers for several GPUs put before every name.
_PARALLEL: Final = "module."


def read_weights(path: Path, kind: Kind) -> dict[str, Tensor]:
    """Name to tensor of one network, on the CPU, under the names that the file uses.

    Parameters
    ----------
    path : safetensors, or what `torch.save` wrote.
    kind : whose names may have `<kind>.` before them, where one file holds all networks.

    Raises
    ------
    UnusableFile : the file holds no such tensors.
    UnusableModel : it is damaged safetensors.
    """
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        check_safetensors(path)
        tensors = load_file(path)
    else:
        tensors = _checkpoint(path)
    own = under(tensors, f"{kind}.")
    tensors = own or tensors
    if all(name.startswith(_PARALLEL) for name in tensors):
        tensors = under(tensors, _PARALLEL)
    return tensors


def _checkpoint(path: Path) -> dict[str, Tensor]:
    tree: Any = read_checkpoint(path)
    for _ in range(3):
        inner = next((w for w in _WRAPPERS if isinstance(tree, dict) and _is_state(tree, w)), None)
        if inner is None:
            break
        tree = tree[inner]
    if not isinstance(tree, dict) or not tree:
        raise UnusableFile(path, "holds no state dict")
    tensors = {}
    for name, value in tree.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise UnusableFile(path, f"its entry {str(name)[:80]!r} is not a tensor")
        tensors[name] = _tensor(value)
    return tensors


def _is_state(tree: dict[Any, Any], wrapper: str) -> bool:
    """Whether the dict keeps its tensors one level deeper, under this name."""
    has_tensors = any(isinstance(value, np.ndarray) for value in tree.values())
    return not has_tensors and isinstance(tree.get(wrapper), dict)


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    with warnings.catch_warnings():
        # The arrays are read-only views, and nothing here writes to them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
