"""Packages of small DCGANs with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from tests._fakes import card_values
from torch import Tensor

from napari_medsyn.models.dcgan import DCGANLayout, Generator
from napari_medsyn.registry.building import build_package
from napari_medsyn.registry.card import ModelCard

#: 48 wide, 32 high, two classes by an embedding, two outputs.
ARCHITECTURE = {
    "latent": 5,
    "channels": [6, 4, 4],
    "start": [4, 6],
    "classes": 2,
    "embedding": 3,
}
CONTROLS: list[dict[str, Any]] = [
    {"kind": "seed", "name": "seed", "label": "Seed"},
    {
        "kind": "latent",
        "name": "latent",
        "label": "Latent",
        "directions": [f"z {i}" for i in range(5)],
    },
    {
        "kind": "categorical",
        "name": "class",
        "label": "Class",
        "categories": [
            {"value": "benign", "label": "Benign"},
            {"value": "malignant", "label": "Malignant"},
        ],
        "default": "benign",
    },
    {
        "kind": "continuous",
        "name": "truncation",
        "label": "Truncation",
        "minimum": 0,
        "maximum": 1,
        "default": 1,
        "step": 0.05,
    },
]


def random_weights(layout: DCGANLayout, seed: int = 0) -> dict[str, Tensor]:
    """A state dict of the layout that gives images of some contrast."""
    generator = torch.Generator().manual_seed(seed)
    state = Generator(layout).state_dict()
    for name, value in state.items():
        if name.endswith("running_var"):
            state[name] = 0.5 + torch.rand(value.shape, generator=generator)
        elif value.is_floating_point():
            scale = 0.3 if value.ndim > 1 else 0.5
            state[name] = scale * torch.randn(value.shape, generator=generator)
    return state


def card_fields(**changes: Any) -> dict[str, Any]:
    """A card that fits `ARCHITECTURE`, without its files."""
    fields = card_values(
        id="small-dcgan",
        name="Small DCGAN",
        family="dcgan",
        architecture=ARCHITECTURE,
        grid={"shape": [48, 32, 1], "space": "none", "dim": "2D"},
        intensity={"rule": "unit"},
        inputs=[],
        min_inputs=0,
        outputs=["MG", "mask"],
        controls=CONTROLS,
    )
    del fields["files"]
    return {**fields, **changes}


def make_dcgan(folder: Path, weights: dict[str, Tensor] | None = None, **changes: Any) -> ModelCard:
    """Write a package; `weights` instead of random ones that fit the card."""
    fields = card_fields(**changes)
    if weights is None:
        layout = DCGANLayout.from_card(fields["architecture"], len(fields["outputs"]))
        weights = random_weights(layout)
    return build_package(folder, fields, {"weights.safetensors": save(weights)})
