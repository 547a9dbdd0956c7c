"""What every importer of a checkpoint does at the end: weights, id and licence of a package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.registry.parts import Slug, Spdx


def safetensors_of(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A safetensors file; views are written as what they show."""
    from safetensors.numpy import save

    # A single number would come out of `ascontiguousarray` with an axis.
    return save({name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()})


def refuse_repeats(arrays: Mapping[str, NDArray[Any]], source: Path) -> None:
    """Refuse tensors that are all views of one: written out, they could fill a disk.

    Raises
    ------
    UnusableFile : together they take more than four times the bytes of the source.
    """
    # Half precision doubles; the rest is for weights that two layers share.
    if sum(array.nbytes for array in arrays.values()) > 4 * source.stat().st_size:
        raise UnusableFile(source, "cannot be imported: its tensors repeat the same numbers")


def identifier(model_id: str | None, source: Path) -> str:
    """The id that was asked for, or one from the source's name.

    Raises
    ------
    UnusableModel : the id that was asked for is none.
    """
    if model_id is None:
        plain = re.sub(r"[^a-z0-9._-]+", "-", source.stem.lower()).strip("-._")
        return plain[:80] or "imported-model"
    try:
        return TypeAdapter(Slug).validate_python(model_id)
    except ValidationError as error:
        raise UnusableModel(
            f"{model_id!r} cannot be an id; use lower-case letters, digits, '.', '_' and '-'"
        ) from error


def refuse_unusual_licence(licence: str | None) -> None:
    """Refuse early what the card would refuse at the end.

    Raises
    ------
    UnusableModel : it does not look like an SPDX expression.
    """
    if licence is None:
        return
    try:
        TypeAdapter(Spdx).validate_python(licence)
    except ValidationError as error:
        raise UnusableModel(
            f"licence {licence!r} is no SPDX identifier, such as MIT or CC-BY-4.0"
        ) from error
