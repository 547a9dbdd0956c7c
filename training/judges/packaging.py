"""A judge's package: card, weights in half precision, picture."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from napari_medsyn.registry.card import CARD_NAME, parse_card
from napari_medsyn.registry.packages import sha256_of

MODELS = Path(__file__).parents[2] / "resources" / "models"
WEIGHTS, PREVIEW = "weights.safetensors", "preview.png"

#: What every judge says of itself.
INTENDED_USE = (
    "Research: to measure whether a synthetic scan shows what it was asked to show, beside the "
    "same measurement on real scans. Not for diagnosis."
)
#: Whom they were fitted to.
WHO = "train and validation parts of training/data/splits.json, predictors left out"
#: The set that the judges of T1 learn from and are tested on.
IXI = {
    "name": "IXI, healthy people aged 20 to 82, one 3 T scanner (T1)",
    "licence": "CC-BY-SA-3.0",
    "citation": "IXI dataset, brain-development.org/ixi-dataset",
}


def half(tensors: Mapping[str, Tensor], keep: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The tensors in half precision; whole numbers, and those named in `keep`, as they are.

    Raises
    ------
    ValueError : a value is too large for half precision.
    """
    out = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        smaller = tensor.half() if tensor.is_floating_point() and name not in keep else tensor
        if not bool(torch.isfinite(smaller.float()).all()):
            raise ValueError(f"{name} does not fit half precision; name it in keep")
        out[name] = smaller
    return out


def write_package(
    folder: Path, card: Mapping[str, Any], tensors: Mapping[str, Tensor], preview: Path | None
) -> None:
    """Write the package, or refuse a card that does not validate.

    Parameters
    ----------
    folder : named as the card's id.
    card : JSON values of the card but for its files.
    tensors : as they are to be stored, by name.
    preview : picture to ship beside the weights; one that is there already may stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # safetensors leaves it readable for its owner only
    if preview is not None:
        shutil.copyfile(preview, folder / PREVIEW)
    names = [name for name in (WEIGHTS, PREVIEW) if (folder / name).exists()]
    files = [
        {"name": n, "bytes": (folder / n).stat().st_size, "sha256": sha256_of(folder / n)}
        for n in names
    ]
    text = (
        json.dumps({**card, "anatomy": ["brain"], "files": files}, indent=2, ensure_ascii=False)
        + "\n"
    )
    parse_card(text)
    (folder / CARD_NAME).write_text(text, encoding="utf-8")


def grid_card(shape: tuple[int, int, int], affine: Any) -> dict[str, Any]:
    """The card's grid, for a RAS+ affine without rotation."""
    return {
        "shape": list(shape),
        "spacing_mm": [float(affine[i, i]) for i in range(3)],
        "origin_mm": [float(affine[i, 3]) for i in range(3)],
        "orientation": "RAS",
        "space": "MNI152",
        "dim": "3D",
    }
