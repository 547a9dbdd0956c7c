"""Pack a run: ``python -m training.mssg.stack.package --run runs/mssg/stack --out FOLDER``.

Writes card.json, weights.safetensors (half precision) and preview.png, and refuses a card that
does not validate.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.image import imsave
from numpy.typing import NDArray
from safetensors.torch import load_file, save

from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.stack import BRIGHTEST
from napari_medsyn.models.stylegan2.network import Generator
from napari_medsyn.registry.building import build_package
from napari_medsyn.registry.card import ModelCard
from training.mssg.stack.card import fields
from training.mssg.stack.config import LAYOUT
from training.mssg.stack.making import made

#: Covariates of the people of the picture.
SHOWN: tuple[dict[str, Any], ...] = (
    {"age": 25.0, "sex": "F", "ventricles": 14.0, "lesions": 1.0, "cohort": "ixi"},
    {"age": 70.0, "sex": "F", "ventricles": 45.0, "lesions": 1.0, "cohort": "ixi"},
    {"age": 45.0, "sex": "M", "ventricles": 25.0, "lesions": 35.0, "cohort": "ms"},
)
#: Slices of each of them.
LEVELS = (20, 30, 36, 42, 50)
#: Pixels of the picture for one of a slice.
ENLARGED = 2


def pack(
    run: Path,
    out: Path,
    labels: Path,
    version: str,
    supports: dict[str, tuple[float, float]],
    notes: str = "",
) -> ModelCard:
    """Make the package.

    Parameters
    ----------
    run : folder of a run that `benchmarks.stacks` has measured.
    out : a new folder.
    labels : JSON of the label model that the run was trained with.

    Raises
    ------
    UnusableModel : card and files do not make a valid package.
    UnusableFile : `out` holds something, or cannot be written to.
    """
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    label_model = json.loads(labels.read_text(encoding="utf-8"))
    tensors = load_file(run / "weights.safetensors")
    net = Generator(LAYOUT).eval()
    net.load_state_dict(tensors)
    preview = picture(net, LabelModel.from_json(label_model))
    files: dict[str, bytes | Path] = {
        "weights.safetensors": save({name: t.half() for name, t in tensors.items()}),
        "preview.png": preview,
    }
    values = fields(history(run), label_model, supports, metrics, version, notes)
    return build_package(out, values, files)


def history(run: Path) -> list[dict[str, Any]]:
    """``run.json`` of a run and of those that it was started from, one after the other."""
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    start = record.get("start")
    return [record, *(history(Path(start).parent) if start else [])]


def picture(net: Generator, labels: LabelModel) -> bytes:
    """PNG of three made people, one in a row."""
    rows = []
    for values in SHOWN:
        drawn = made(net, labels, values, seed=0, slices=LEVELS)
        rows.append(np.concatenate([picture.T[::-1] for picture in drawn], axis=1))
    sheet: NDArray[np.float32] = np.concatenate(rows)
    sheet = sheet.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    content = io.BytesIO()
    imsave(content, sheet, cmap="gray", vmin=0, vmax=BRIGHTEST, format="png")
    return content.getvalue()


def supports_of(data: Path) -> dict[str, tuple[float, float]]:
    """Least and most of the recorded covariates of the training people."""
    from training.mssg.label_fitting import load_tables

    tables = load_tables(data, "train")
    found = {}
    for name in ("age", "ventricles", "lesions"):
        values = np.concatenate([t.labels[name] for t in tables if name in t.labels])
        found[name] = (float(np.nanmin(values)), float(np.nanmax(values)))
    return found


def main() -> None:
    """Write the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder, for the ranges")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--labels", type=Path, required=True, help="JSON of the label model")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--notes", default="", help="what the run's records do not say")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    supports = supports_of(arguments.data)
    card = pack(
        arguments.run,
        arguments.out,
        arguments.labels,
        arguments.version,
        supports,
        arguments.notes,
    )
    total = sum(file.bytes for file in card.files)
    print(f"{arguments.out}: {card.id} {card.version}, {total / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
