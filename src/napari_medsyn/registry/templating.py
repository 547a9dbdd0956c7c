"""A new package to begin with: it passes its test at once and says what to fill in."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.registry.building import build_package
from napari_medsyn.registry.card import ModelCard

#: What every field that the author has to fill in holds, and no other field does.
MARKS: Final = ("FILL IN", "FILL-IN")

#: Steps for the author; it is no part of the package and no file of the card.
STEPS: Final = "README.md"

#: Name of the weights of a native package.
WEIGHTS: Final = "weights.safetensors"

#: The families there is a template for.
FAMILIES: Final = ("dcgan", "mmhvae", "python")


def architecture_of(family: str) -> dict[str, Any]:
    """The `architecture` on the card of a family's template."""
    return dict(_fields(family)["architecture"])


def create_package(
    out: Path, family: str, *, model_id: str, name: str, weights: bytes | None = None
) -> ModelCard:
    """Write a new package from a template, whole or not at all.

    Parameters
    ----------
    out : the folder; it must not exist, or be empty.
    family : one of `FAMILIES`.
    model_id, name : for the card.
    weights : content of the weight file, where this floor cannot make it: random weights
        of an MMHVAE take torch.

    Raises
    ------
    UnusableModel : `model_id` is no id.
    UnusableFile : `out` holds something, or cannot be written to.
    """
    fields = {"id": model_id, "name": name, **_fields(family)}
    files: dict[str, bytes | Path]
    if family == "python":
        code = _text("generator.py").encode()
        files = {"code/generator.py": code, "code/weights.npy": _npy(waves())}
    else:
        files = {WEIGHTS: random_dcgan(fields["architecture"]) if weights is None else weights}
    card = build_package(out, fields, files)
    (out / STEPS).write_text(_steps(out, card), encoding="utf-8")
    return card


def unfilled(fields: Any, place: str = "") -> Iterator[str]:
    """Places of a card (its JSON values) that still hold one of `MARKS`: `authors[0]`, …."""
    if isinstance(fields, Mapping):
        for key, value in fields.items():
            yield from unfilled(value, f"{place}.{key}" if place else str(key))
    elif isinstance(fields, list | tuple):
        for number, value in enumerate(fields):
            yield from unfilled(value, f"{place}[{number}]")
    elif isinstance(fields, str) and any(mark in fields for mark in MARKS):
        yield place


def random_dcgan(architecture: Mapping[str, Any]) -> bytes:
    """Weights of a DCGAN that has learned nothing but gives images of some contrast.

    Each is drawn so that the variance stays the same from layer to layer (He et al. 2015,
    "Delving deep into rectifiers", section 2.2): of a transposed convolution of 4 x 4 with
    stride 2, four weights of each channel meet in a pixel.

    Returns
    -------
    The content of a safetensors file.
    """
    from safetensors.numpy import save

    rng = np.random.default_rng(0)
    channels = [int(count) for count in architecture["channels"]]
    latent, embedding = int(architecture["latent"]), int(architecture["embedding"])
    classes, start = int(architecture["classes"]), tuple(architecture["start"])
    given = latent + embedding
    tensors = {
        "embedding.weight": _normal(rng, (classes, embedding), 1.0),
        "main.0.weight": _normal(rng, (given, channels[0], *start), 1 / given),
    }
    for number, (width, out) in enumerate(zip(channels, [*channels[1:], 1], strict=True)):
        norm, layer = f"main.{1 + 3 * number}", f"main.{3 + 3 * number}"
        tensors[f"{norm}.weight"] = np.ones(width, np.float32)
        tensors[f"{norm}.bias"] = np.zeros(width, np.float32)
        tensors[f"{norm}.running_mean"] = np.zeros(width, np.float32)
        tensors[f"{norm}.running_var"] = np.ones(width, np.float32)
        tensors[f"{layer}.weight"] = _normal(rng, (width, out, 4, 4), 2 / (4 * width))
    return bytes(save(tensors))


def waves(count: int = 8, side: int = 64) -> NDArray[np.float32]:
    """(count, side, side) smooth patterns from -1 to 1, each of another direction and length."""
    rows, columns = np.mgrid[:side, :side] / side
    patterns = []
    for number in range(count):
        angle, periods = np.pi * number / count, 1 + number / 2
        along = columns * np.cos(angle) + rows * np.sin(angle)
        patterns.append(np.sin(2 * np.pi * periods * along + number))
    return np.stack(patterns).astype(np.float32)


def _fields(family: str) -> dict[str, Any]:
    common, own = json.loads(_text("common.json")), json.loads(_text(f"{family}.json"))
    return {**common, **own}


def _steps(out: Path, card: ModelCard) -> str:
    return Template(_text(STEPS)).substitute(
        name=card.name,
        family=card.family,
        folder=shlex.quote(out.name),
        weights=_text(f"{card.family}.md").strip(),
        trust=" --trust" if card.execution == "isolated" else "",
    )


def _text(name: str) -> str:
    """One of the files in `registry/templates`."""
    folder = resources.files("napari_medsyn.registry.templates")
    return (folder / name).read_text(encoding="utf-8")


def _normal(
    rng: np.random.Generator, shape: tuple[int, ...], variance: float
) -> NDArray[np.float32]:
    drawn: NDArray[np.float64] = np.sqrt(variance) * rng.standard_normal(shape)
    return drawn.astype(np.float32)


def _npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
