"""From the shared data to the people of the wanted sources."""

from __future__ import annotations

import json
from pathlib import Path

from napari_medsyn.models.mssg.labels import LabelModel
from training.mssg.sources import load_sources
from training.mssg.stack.people import People

#: File of the label model beside the runs, as `training.mssg.label_fitting` writes it.
LABELS = "labels.json"


def load_people(data: Path, cache: Path, wanted: str, seed: int) -> list[People]:
    """The training people of both sources, or of the one called `wanted`.

    Parameters
    ----------
    data : the shared data folder.
    cache : folder for what takes long to derive; the label model is beside it.

    Raises
    ------
    ValueError : there is no such source, or no label model yet.
    """
    path = cache.parent / LABELS
    if not path.is_file():
        raise ValueError(f"{path} does not exist; run python -m training.mssg.label_fitting first")
    model = LabelModel.from_json(json.loads(path.read_text(encoding="utf-8")))
    sources = load_sources(data, cache, ("train",))
    chosen = [source for source in sources if wanted in ("both", source.name)]
    if not chosen:
        names = ", ".join(source.name for source in sources)
        raise ValueError(f"--sources {wanted} is neither both nor one of {names}")
    return [People.of(source, model, seed) for source in chosen]
