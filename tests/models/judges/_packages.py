"""Small packages of the two judges of T1, with weights that make their answers known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tests._fakes import card_values

from napari_medsyn.models.judges.networks import TissueNet, TissueTopology
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.preparation import IntensityScale, PreparedStudy

#: No side is a multiple of four, all differ.
SHAPE = (10, 13, 9)
TOPOLOGY = TissueTopology(3, (4, 4, 4), SHAPE)
KEYS = ("white_matter", "cortex", "ventricles")


def atlas_reader(topology: TissueTopology = TOPOLOGY) -> TissueNet:
    """A network that answers what its atlas says, whatever the scan.

    All paths but one are silenced: the atlas passes `join` through SiLU, which at large
    values is the identity, and is copied to full resolution.
    """
    torch.manual_seed(0)
    net = TissueNet(topology)
    for parameter in net.parameters():
        parameter.data.zero_()
    second = topology.widths[1]
    for k in range(topology.classes):
        # The atlas's channels follow those of the scan; the middle of the kernel copies.
        net.join[0].weight.data[k, second + k, 1, 1, 1] = 1.0
        net.up_1[0].weight.data[k, k, 1, 1, 1] = 1.0
        net.narrow_0.weight.data[k, k] = 1.0
        net.up_0[0].weight.data[k, k, 1, 1, 1] = 1.0
        net.leave.weight.data[k, k] = 1.0
    for block in (net.join, net.up_1, net.up_0):
        block[1].weight.data[:] = 1.0
        block[1].eps = 0.0
    return net.eval()


def prepared(t1: np.ndarray, mask: np.ndarray | None = None, **volumes: Any) -> PreparedStudy:
    """A study on a 2 mm grid; the reference grid is the same."""
    mask = t1 > 0 if mask is None else mask
    grid = Grid(t1.shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    images = volumes or {"T1": t1}
    return PreparedStudy(
        volumes=images,
        mask=mask,
        grid=grid,
        reference=grid,
        reference_mask=mask,
        to_model=np.eye(4),
        scales={m: IntensityScale(0.0, 1.0) for m in images},
        reference_volumes=images,
        steps=(),
        notes=(),
        content_hash="x",
    )


def write(folder: Path, tensors: dict[str, torch.Tensor], **changes: Any) -> Path:
    """A judge's package with these tensors, in half precision but for scale and offset."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "weights.safetensors"
    keep = ("scale", "offset")
    save_file(
        {k: v.half() if v.is_floating_point() and k not in keep else v for k, v in tensors.items()},
        weights,
    )
    content = weights.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    file = {"name": weights.name, "bytes": len(content), "sha256": digest}
    x, y, z = SHAPE
    values = {
        "id": folder.name,
        "kind": "judge",
        "architecture": {"classes": 3, "widths": [4, 4, 4], "shape": [x, y, z]},
        "grid": {
            "shape": [x, y, z],
            "spacing_mm": [2.0, 2.0, 2.0],
            "origin_mm": [0.0, 0.0, 0.0],
            "space": "MNI152",
            "dim": "3D",
        },
        "inputs": ["T1"],
        "controls": [],
        "files": [file],
    }
    (folder / "card.json").write_text(json.dumps(card_values(**{**values, **changes})))
    return folder


def write_tissue(folder: Path, net: TissueNet, **changes: Any) -> Path:
    """A tissue judge's package."""
    values = {
        "family": "tissue-judge",
        "outputs": ["tissues"],
        "readings": [{"name": key, "label": key, "unit": "ml"} for key in KEYS],
        "legends": {"tissues": [{"code": k, "name": key} for k, key in enumerate(KEYS, start=1)]},
    }
    return write(folder, net.state_dict(), **{**values, **changes})
