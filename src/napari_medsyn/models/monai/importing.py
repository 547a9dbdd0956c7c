"""A generative MONAI bundle becomes a package: networks built by us, weights as safetensors.

What the configuration says is read as data (`registry.importers.monai_bundle`); here the
networks are built from it, first without memory, to be compared with the weights, and an
output of the original is compared with ours where the bundle comes with one.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from napari_medsyn.models.monai import diffusion, gan
from napari_medsyn.models.monai.axes import ras_shape
from napari_medsyn.models.monai.conversion import converted
from napari_medsyn.models.monai.golden import GOLDEN, compare_with_golden, record
from napari_medsyn.models.monai.networks import classes
from napari_medsyn.models.monai.weights import read_weights
from napari_medsyn.registry.building import build_package, refuse_occupied
from napari_medsyn.registry.card import ModelCard, parse_card
from napari_medsyn.registry.importers.checkpoints_package import refuse_unusual_licence
from napari_medsyn.registry.importers.monai_bundle import read_bundle
from napari_medsyn.registry.importers.monai_bundle_card import Made, card_fields, orientation_of
from napari_medsyn.registry.importers.monai_bundle_description import Bundle, Network
from napari_medsyn.registry.importers.monai_bundle_parts import Kind
from napari_medsyn.registry.importers.monai_bundle_text import read_text_file
from napari_medsyn.registry.packages import sha256_of

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS: Final = "weights.safetensors"
#: Texts of a bundle that go with its weights, and what the package calls them.
TEXTS: Final = {"LICENSE": "LICENSE.txt", "docs/data_license.txt": "data_license.txt"}
#: An image that takes more memory takes minutes, too, and is not made while importing.
MOST_GOLDEN_GB: Final = 4.0
#: What torch and MONAI take by themselves.
LEAST_GB: Final = 0.5


def import_bundle(
    bundle: Path, out: Path, *, model_id: str | None = None, licence: str | None = None
) -> list[str]:
    """Write a package from a generative MONAI bundle; nothing in the bundle is run.

    Parameters
    ----------
    bundle : the bundle's folder, with `configs` and `models`.  A file `golden.npz` in it
        holds an output of the original to compare with; see `models.monai.golden`.
    out : folder of the package, new or empty.
    model_id : of the card; from the folder's name by default.
    licence : SPDX identifier of the weights; read from the bundle's LICENSE by default.

    Returns
    -------
    What could not be taken over or checked, a sentence each.

    Raises
    ------
    UnusableFile : the bundle is not one that can be read as data, its weights do not fit,
        its golden output differs, or `out` holds something.
    UnusableModel : MONAI is not installed, or the id or the licence is not a possible one.
    """
    refuse_occupied(out)
    refuse_unusual_licence(licence)
    read = read_bundle(bundle)
    texts = _texts(bundle)
    if read.listed:
        fields, notes = card_fields(read, None, model_id=model_id, licence=licence)
        build_package(out, fields, texts)
        return [f"{read.listed}.", *notes]
    classes()  # before anything is written: without MONAI there is no way to go on
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".medsyn-", dir=out.parent) as draft:
        weights = Path(draft) / WEIGHTS
        made = _convert(read, weights)
        fields, notes = card_fields(read, made, model_id=model_id, licence=licence)
        files: dict[str, bytes | Path] = {WEIGHTS: weights, **texts}
        family = _load(fields, weights, out)
        notes.append(compare_with_golden(family, bundle / GOLDEN))
        if made.memory_gb <= MOST_GOLDEN_GB:
            fields["golden"], files["golden.npy"] = record(family)
        else:
            notes.append(
                "No output was recorded for `medsyn models test`: making one takes minutes."
            )
        build_package(out, fields, files)
    return notes


def _convert(read: Bundle, weights: Path) -> Made:
    """Write the weights of all networks into one safetensors file; what they turned out to be."""
    from safetensors.numpy import save_file

    arguments: dict[Kind, Mapping[str, Any]] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for kind, network in read.networks.items():
        arguments[kind], tensors = _converted(network)
        arrays |= {f"{kind}.{name}": tensor.numpy() for name, tensor in tensors.items()}
    parameters = sum(array.size for array in arrays.values())
    save_file(arrays, weights)
    sides = _sides(read, arguments)
    memory = 4 * parameters + 4 * math.prod(sides) * _widest(arguments)
    return Made(
        arguments, ras_shape(sides, orientation_of(read)), parameters, max(memory / 1e9, LEAST_GB)
    )


def _converted(network: Network) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        return converted(
            network.kind, network.arguments, read_weights(network.weights, network.kind)
        )
    except ValueError as error:
        raise UnusableFile(network.weights, f"does not fit the configuration: {error}") from error


def _sides(read: Bundle, arguments: Mapping[Kind, Mapping[str, Any]]) -> tuple[int, ...]:
    """Sides of the image along the tensor's axes."""
    if "generator" in arguments:
        said = arguments["generator"]
        return tuple(side * math.prod(said["strides"]) for side in said["start_shape"][1:])
    grown = (
        2 ** (len(arguments["autoencoder"]["channels"]) - 1) if "autoencoder" in arguments else 1
    )
    return tuple(side * grown for side in read.shape[1:])


def _widest(arguments: Mapping[Kind, Mapping[str, Any]]) -> int:
    """Numbers in memory for each voxel of the image while it is made, about.

    At full size the last layers hold their input, their output and a copy for the
    convolution; measured for the brain latent diffusion model this is right within 5 %.
    """
    last = arguments.get("autoencoder") or arguments.get("unet")
    widths = last["channels"][:2] if last else arguments["generator"]["channels"][-2:]
    return 3 * int(max(widths))


def _load(
    fields: Mapping[str, Any], weights: Path, out: Path
) -> gan.MonaiGAN | diffusion.MonaiDiffusion:
    """The family, as it will be loaded from the package."""
    file = {"name": WEIGHTS, "bytes": weights.stat().st_size, "sha256": sha256_of(weights)}
    card: ModelCard = parse_card(json.dumps({**fields, "files": [file]}), str(out))
    load = gan.load if card.family == "monai-gan" else diffusion.load
    return load(card, weights, "cpu")


def _texts(bundle: Path) -> dict[str, bytes | Path]:
    """Licences that the bundle brings."""
    found: dict[str, bytes | Path] = {}
    for source, name in TEXTS.items():
        if (bundle / source).exists():
            text = read_text_file(bundle / source)
            if text:
                found[name] = text.encode()
    return found
