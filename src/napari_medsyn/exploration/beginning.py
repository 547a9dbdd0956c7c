"""Beginning a package: from a template to a folder with weights and a golden output."""

from __future__ import annotations

from pathlib import Path

from napari_medsyn.exploration.examining import record
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.templating import architecture_of, create_package


def begin(out: Path, family: str, *, model_id: str, name: str) -> ModelCard:
    """Write a new package that passes its test.

    Parameters
    ----------
    out : the folder; it must not exist, or be empty.
    family : one of `registry.templating.FAMILIES`.
    model_id, name : for the card.

    Raises
    ------
    UnusableModel : `model_id` is no id.
    UnusableFile : `out` holds something, or cannot be written to.
    """
    weights = None
    if family == "mmhvae":
        from napari_medsyn.models.untrained import untrained_mmhvae

        weights = untrained_mmhvae(architecture_of(family))
    card = create_package(out, family, model_id=model_id, name=name, weights=weights)
    # Code runs only after its author's consent, so it has recorded nothing yet.
    return card if card.execution == "isolated" else record(out)
