"""Small networks whose weights follow from a formula, and studies to run them on.

The formula needs no random generator, so that numbers stored in a test hold for every
version of torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tests._fakes import card_values
from torch import Tensor

from napari_medsyn.models.families import load_family
from napari_medsyn.models.mmhvae import MMHVAE, Topology
from napari_medsyn.models.mmhvae_family import MMHVAEFamily
from napari_medsyn.registry.card import read_card

PUBLISHED = Topology.published(base=4, pools=3, maximum=16, side=32, head_features=2, head_blocks=2)
COMPACT = Topology(
    layout="compact",
    modalities=("T1", "T1c", "T2", "FLAIR"),
    widths=(8, 16, 16),
    latents=(4, 4, 8),
    patch=2,
    context=1,
    positions=3,
    head_features=8,
)
#: (X, Y) of each layout's slices; the compact one takes any multiple of 8.
PLANES = {"published": (32, 32), "compact": (24, 32)}
#: Slices of the studies below.
DEPTH = 20


def wave(shape: Iterable[int], phase: float) -> Tensor:
    """Numbers in [-1, 1] that repeat nowhere nearby: sin of the index times 0.7, shifted."""
    shape = tuple(shape)
    index = np.arange(int(np.prod(shape)), dtype=np.float64)
    return torch.from_numpy(np.sin(0.7 * index + phase).reshape(shape)).float()


def fill(net: MMHVAE) -> MMHVAE:
    """Give every weight its number by the formula, at the usual size for its fan-in."""
    state = {}
    for number, (name, old) in enumerate(net.state_dict().items()):
        fan_in = max(1, int(np.prod(old.shape[1:])))
        value = wave(old.shape, 1.3 * number)
        if name.endswith("original0"):  # the norms of weight normalisation are positive
            value = 1 + 0.5 * value
        elif old.ndim > 1:
            value = value * float(np.sqrt(3 / fan_in))
        else:
            value = 0.1 * value
        state[name] = value
    net.load_state_dict(state, strict=True)
    return net.eval().requires_grad_(False)


def make_net(topology: Topology) -> MMHVAE:
    """A network with weights by the formula."""
    return fill(MMHVAE(topology))


def make_images(topology: Topology, n: int = 2) -> dict[str, Tensor]:
    """Modality to (n, 1, H, W) in [-1, 1] with another background (-1) in each."""
    h, w = PLANES[topology.layout]
    images = {}
    for i, modality in enumerate(topology.modalities):
        x = 0.9 * wave((n, 1, h, w), 2.1 * i)
        x[:, :, : 2 + i, :] = -1
        images[modality] = x
    return images


def write_package(folder: Path, topology: Topology, state: Mapping[str, Tensor]) -> Path:
    """A package of the family with `state` as weights."""
    folder.mkdir(parents=True)
    weights = folder / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, weights)
    content = weights.read_bytes()
    values = card_values(
        family="mmhvae",
        architecture=asdict(topology),
        files=[
            {
                "name": weights.name,
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        ],
        inputs=list(topology.modalities),
        outputs=list(topology.modalities),
    )
    values["grid"]["shape"] = [*PLANES[topology.layout], DEPTH]
    (folder / "card.json").write_text(json.dumps(values))
    return folder


def make_family(folder: Path, topology: Topology) -> MMHVAEFamily:
    """A family loaded from a package, as the engine loads it."""
    package = write_package(folder, topology, make_net(topology).state_dict())
    family = load_family(package, read_card(package), "cpu")
    assert isinstance(family, MMHVAEFamily)
    return family


def make_prepared(topology: Topology, **volumes: NDArray[np.float32]) -> Any:
    """A study on the model's grid: an ellipse of brain in every slice but the first two.

    `volumes` replace some of the modalities; all others are made by the formula.
    """
    shape = (*PLANES[topology.layout], DEPTH)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    mask = (x**2 + y**2 < 0.8) & (z > z[0, 0, 1])
    made = {
        m: np.where(mask, 0.5 + 0.4 * wave(shape, 0.9 * i).numpy(), 0).astype(np.float32)
        for i, m in enumerate(topology.modalities)
    }
    return SimpleNamespace(
        volumes={**made, **volumes}, mask=mask, content_hash=f"study {len(volumes)}"
    )


def controls(
    present: Iterable[str],
    targets: Iterable[str] | None = None,
    *,
    temperature: float = 0.5,
    samples: int = 3,
    seed: int = 0,
) -> dict[str, Any]:
    """Control values; all targets by default."""
    return {
        "present": tuple(present),
        "targets": tuple(targets or ()),
        "temperature": temperature,
        "samples": samples,
        "seed": seed,
    }
