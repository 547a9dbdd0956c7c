"""Fit what reads a patient's own covariates: `models.mssg.reading`.

`python -m training.mssg.reading --data ../shared/data --run runs/mssg --out
runs/mssg/reading.safetensors` fits it to the training people of both sources, each covariate
to those of whom it is recorded, and prints what it reads of people of the other parts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.reading import PREFIX, Reading, features
from training.data.splits import PARTS
from training.mssg.fields import encoded
from training.mssg.reader import fit
from training.mssg.sources import COVARIATES, UNIT, Source, load_sources

#: Of the mean eigenvalue of the kernel; of 0.01, 0.03 and 0.1 none was better in the
#: validation part.
RIDGE = 0.03


def rows_of(source: Source) -> NDArray[np.float32]:
    """(N, features) of a source's people."""
    images = (torch.from_numpy(t1.astype(np.float32) / UNIT)[None, None] for t1 in source.t1)
    return np.concatenate([features(image).numpy() for image in images])


def vectors(model: LabelModel, source: Source, *, true: bool = False) -> NDArray[np.float32]:
    """(N, 5) label vectors: what is recorded, or what is true; NaN elsewhere."""
    columns = source.truth if true else source.labels
    people = [{k: float(column[i]) for k, column in columns.items()} for i in range(len(source))]
    return np.stack([encoded(model, person, source.name) for person in people])


def fit_reading(rows: NDArray[np.float32], labels: NDArray[np.float32]) -> Reading:
    """A reading of (N, features) and (N, 5) label vectors, NaN where not recorded."""
    reading = Reading(rows.shape[1])
    reading.mean.copy_(torch.from_numpy(rows.mean(0)))
    for place in range(labels.shape[1]):
        known = np.isfinite(labels[:, place])
        found = fit(rows[known], labels[known, place : place + 1], RIDGE)
        reading.maps[place] = found.maps[0]
        # Each was fitted around the mean of the people it is recorded of.
        reading.offset[place] = found.offset[0] + found.maps[0] @ (reading.mean - found.mean)
    return reading


def told(name: str, said: NDArray[np.float32], true: NDArray[np.float32]) -> str:
    """One line on how what was read agrees with what is true."""
    parts = []
    for place, covariate in enumerate((*COVARIATES, "cohort")):
        known = np.isfinite(true[:, place])
        a, b = said[known, place], true[known, place]
        if covariate in ("sex", "cohort"):
            parts.append(f"{covariate} {np.mean(np.sign(a) == np.sign(b)):.0%}")
        elif len(b) > 2 and b.std() > 1e-3:
            parts.append(f"{covariate} r {np.corrcoef(a, b)[0, 1]:.2f}")
    return f"{name}, {len(true)} people: {', '.join(parts)}"


def main() -> None:
    """Fit, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/data"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = LabelModel.from_json(json.loads((arguments.run / "labels.json").read_text()))
    reading: Reading | None = None
    for part in PARTS:
        sources = load_sources(arguments.data, arguments.cache, (part,))
        rows = [rows_of(source) for source in sources]
        if reading is None:
            labels = np.concatenate([vectors(model, source) for source in sources])
            reading = fit_reading(np.concatenate(rows), labels)
            tensors: dict[str, Tensor] = dict(reading.state_dict())
            save_file({PREFIX + name: t.contiguous() for name, t in tensors.items()}, arguments.out)
            continue
        for source, each in zip(sources, rows, strict=True):
            said = (torch.from_numpy(each) - reading.mean) @ reading.maps.T + reading.offset
            print(told(f"{part} {source.name}", said.numpy(), vectors(model, source, true=True)))


if __name__ == "__main__":
    main()
