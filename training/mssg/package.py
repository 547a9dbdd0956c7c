"""Pack the template head's generator: card.json, weights.safetensors, preview.png.

`python -m training.mssg.package --run runs/mssg --generator runs/mssg/multi --out
resources/models/mssg-brain-t1` writes the package; figures come from `metrics.json` of the
run, which the benchmarks write.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.image import imsave
from numpy.typing import NDArray
from safetensors.torch import load_file, save

from napari_medsyn.models.mssg.family import THICK
from napari_medsyn.models.mssg.generator import MultiSourceGenerator
from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.lattice import LOW, SHAPE
from napari_medsyn.models.mssg.packing import packed
from napari_medsyn.registry.building import build_package
from training.mssg.buffers import load_generator
from training.mssg.card import fields
from training.mssg.directions import named_directions
from training.mssg.fields import label_vectors
from training.mssg.flair import ORIGIN

#: Tensors that are packed in 8 bits.
COARSE = (
    "head.t1",
    "head.flair",
    "head.shape_basis",
    "head.appearance_basis",
    "head.lesion_basis",
    "head.white",
    "head.ventricle",
    "head.edge",
    "reading.maps",
)
#: People of the picture: one seed at several values.
SHOWN: tuple[dict[str, Any], ...] = (
    {"age": 25.0, "sex": "F", "ventricles": 14.0, "lesions": 0.0, "cohort": "ixi"},
    {"age": 50.0, "sex": "F", "ventricles": 24.0, "lesions": 0.0, "cohort": "ixi"},
    {"age": 75.0, "sex": "F", "ventricles": 45.0, "lesions": 0.0, "cohort": "ixi"},
    {"age": 75.0, "sex": "F", "ventricles": 45.0, "lesions": 25.0, "cohort": "ms"},
)
#: People by whom the directions are named.
NAMED_BY = 200
SEEDS, LEVEL, ENLARGED, BRIGHTEST = (3, 8), 47, 2, 1.05


@torch.no_grad()
def made(
    net: MultiSourceGenerator, labels: LabelModel, values: dict[str, Any], seed: int
) -> NDArray[np.float32]:
    """(2, *SHAPE) T1 and FLAIR of one person of nobody."""
    z = torch.randn(1, net.sizes.z, generator=torch.Generator().manual_seed(seed))
    vector = torch.from_numpy(np.asarray(labels.encode(values), np.float32))[None]
    coefficients = net.coefficients(net.style(z, vector), net.fold(z))
    load_ml = torch.tensor([float(values["lesions"])])
    person = net.head.compose(coefficients, load_ml, thick=values["cohort"] == THICK)
    images: NDArray[np.float32] = net.head.images(person, range(SHAPE[2]))[0].numpy()
    return images


def picture(net: MultiSourceGenerator, labels: LabelModel) -> bytes:
    """PNG of two people, one in a row, T1 and at last FLAIR."""
    rows = []
    for seed in SEEDS:
        people = [made(net, labels, values, seed) for values in SHOWN]
        tiles = [np.rot90(person[0, :, :, LEVEL]) for person in people]
        tiles.append(np.rot90(people[-1][1, :, :, LEVEL]))
        rows.append(np.concatenate(tiles, axis=1))
    sheet = np.concatenate(rows).repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    content = io.BytesIO()
    imsave(content, sheet, cmap="gray", vmin=0, vmax=BRIGHTEST, format="png")
    return content.getvalue()


def main() -> None:
    """Write the package in the place of the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, help="safetensors of training.mssg.encoder")
    parser.add_argument("--reading", type=Path, help="safetensors of training.mssg.reading")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", default="1.0.0")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    label_model = json.loads((arguments.run / "labels.json").read_text(encoding="utf-8"))
    path = arguments.generator / "generator.safetensors"
    net = load_generator(path)
    tensors = net.state_dict()
    if arguments.encoder is not None:
        found = load_file(arguments.encoder)
        tensors |= {f"encoder.{k.removeprefix('encoder.')}": v for k, v in found.items()}
    if arguments.reading is not None:
        tensors |= load_file(arguments.reading)
    figures = arguments.generator / "metrics.json"
    metrics = json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else []
    origin = tuple(float(o + 2 * low) for o, low in zip(ORIGIN, LOW, strict=True))
    labels = LabelModel.from_json(label_model)
    files: dict[str, bytes | Path] = {
        "weights.safetensors": save(packed(tensors, COARSE)),
        "preview.png": picture(net, labels),
    }
    pool = label_vectors(labels, NAMED_BY, np.random.default_rng(3), ("ixi", "ms"))
    directions = named_directions(net, torch.from_numpy(pool))
    card = fields(label_model, origin, metrics, directions, arguments.version)
    draft = arguments.out.with_name(arguments.out.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    built = build_package(draft, card, files)
    shutil.rmtree(arguments.out, ignore_errors=True)
    draft.rename(arguments.out)
    total = sum(file.bytes for file in built.files)
    print(f"{arguments.out}: {built.id} {built.version}, {total / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
