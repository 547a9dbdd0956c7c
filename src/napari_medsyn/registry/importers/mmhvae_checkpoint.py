"""A published MMHVAE or MHVAE state dict becomes a package of the family `mmhvae`.

Dorent et al., "Unified cross-modal image synthesis with hierarchical mixture of
product-of-experts", TPAMI 2025, arXiv 2410.19378; its predecessor: MICCAI 2023,
arXiv 2309.08747.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_medsyn import __version__
from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.registry.building import build_package, refuse_occupied
from napari_medsyn.registry.importers.checkpoints import read_checkpoint
from napari_medsyn.registry.importers.checkpoints_package import (
    identifier,
    refuse_repeats,
    refuse_unusual_licence,
    safetensors_of,
)
from napari_medsyn.registry.importers.mmhvae_checkpoint_layout import (
    ForeignLayout,
    PublishedLayout,
    State,
    check,
    infer,
    named_heads,
    plain_state,
    unwrapped,
)
from napari_medsyn.registry.packages import sha256_of

#: The releases' names of modalities to ours; any other keeps its own.
MODALITIES: Final = {"us": "US", "t1": "T1", "t2": "T2", "cet1": "T1c", "t1ce": "T1c",
                     "flair": "FLAIR", "pd": "PD", "ct": "CT", "pet": "PET"}  # fmt: skip
#: Pixel size of the releases' data (ReMIND, resampled), mm; they all have ultrasound.
_REMIND_MM: Final = 0.5
#: Without ultrasound nothing is known: then the image spans a whole head, mm.
_HEAD_MM: Final = 192.0
#: Slices 1 mm apart through the brain in MNI152 space, and the world position of its centre.
_SLICES: Final = 160
_CENTRE_MM: Final = (-0.5, -19.5, 5.5)


def import_checkpoint(
    checkpoint: Path,
    out: Path,
    *,
    model_id: str | None = None,
    licence: str | None = None,
    spacing_mm: float | None = None,
) -> list[str]:
    """Write a package from a state dict in the published layout; nothing in it is run.

    Parameters
    ----------
    checkpoint : what `torch.save` wrote: a state dict, or a dict that holds one.
    out : folder of the package, new or empty.
    model_id : of the card; from the file's name by default.
    licence : SPDX identifier; "NOASSERTION" by default.
    spacing_mm : pixel size of the training images, which no state dict says; by default
        0.5 with ultrasound among the modalities (ReMIND), else what makes the image span
        192 mm.

    Returns
    -------
    What could not be known or was changed, a sentence each.

    Raises
    ------
    UnusableFile : the file is no such state dict, or `out` holds something.
    UnusableModel : the id, the licence or the pixel size is not a possible one.
    """
    refuse_occupied(out)
    refuse_unusual_licence(licence)
    if spacing_mm is not None and not 0.01 <= spacing_mm <= 100:
        raise UnusableModel(f"a pixel size of {spacing_mm} mm is not between 0.01 and 100")
    weights, layout, names, changes = _understood(checkpoint)
    fields = _card(layout, identifier(model_id, checkpoint), licence, spacing_mm)
    fields["provenance"] = {
        "command": "medsyn models import mmhvae",
        "importer": f"napari-medsyn {__version__}",
        "source": checkpoint.name,
        "source_sha256": sha256_of(checkpoint),
        "inferred_from_shapes": {
            "modalities": names,
            "base": layout.widths[0],
            "pools": len(layout.widths) - 1,
            "side": layout.side,
        },
        "changes": changes,
    }
    build_package(out, fields, {"weights.safetensors": weights})
    return [*changes, *_unknown(fields, licence, spacing_mm)]


def _understood(checkpoint: Path) -> tuple[bytes, PublishedLayout, list[str], list[str]]:
    """Weights, layout, the file's own names of the modalities, and what was changed."""
    try:
        tree, wrappers = unwrapped(read_checkpoint(checkpoint))
        state, changes = plain_state(tree)
        layout = infer(state)
        state, were_numbered = named_heads(state, layout.modalities)
        check(state, layout)
        refuse_repeats(state, checkpoint)
        state, layout, renamed = _renamed(state, layout)
        weights = safetensors_of(_finite(state))
    except ForeignLayout as error:
        raise UnusableFile(checkpoint, f"cannot be imported: {error}") from error
    if were_numbered:
        changes.append("image heads were numbered; their order is taken for the modalities'")
    if wrappers:
        changes.append(f"the state dict was found under {'.'.join(wrappers)}")
    changes += [f"modality {old!r} is called {new}" for old, new in renamed.items() if old != new]
    return weights, layout, list(renamed), changes


def _renamed(
    state: State, layout: PublishedLayout
) -> tuple[State, PublishedLayout, dict[str, str]]:
    """The state under our names of the modalities, and which became which."""
    table = {m: MODALITIES.get(m.lower(), m) for m in layout.modalities}
    if len(set(table.values())) < len(table):
        raise ForeignLayout("two of its modalities have one name")
    renamed = {}
    for name, value in state.items():
        parts = name.split(".")
        if parts[0] in ("first_conv", "conv_blocks_context", "td", "final_blocks"):
            parts[1] = table[parts[1]]
        renamed[".".join(parts)] = value
    named = replace(layout, modalities=tuple(table.values()))
    return renamed, named, table


def _finite(state: State) -> State:
    """The state as float32.

    Raises
    ------
    ForeignLayout : a tensor holds no numbers, or some that are not finite.
    """
    made = {}
    for name, value in state.items():
        if value.dtype.kind != "f":
            raise ForeignLayout(f"{name} holds {value.dtype} instead of real numbers")
        made[name] = value.astype(np.float32)
        if not np.isfinite(made[name]).all():
            raise ForeignLayout(f"{name} holds values that are not finite; its training diverged")
    return made


def _spacing(layout: PublishedLayout, spacing_mm: float | None) -> float:
    if spacing_mm is not None:
        return spacing_mm
    return _REMIND_MM if "US" in layout.modalities else _HEAD_MM / layout.side


def _card(
    layout: PublishedLayout, model_id: str, licence: str | None, spacing_mm: float | None
) -> dict[str, Any]:
    """The card but for files and provenance."""
    spacing = _spacing(layout, spacing_mm)
    names = list(layout.modalities)
    shape = (layout.side, layout.side, _SLICES)
    sizes = (spacing, spacing, 1.0)
    origin = [c - (n - 1) / 2 * s for c, n, s in zip(_CENTRE_MM, shape, sizes, strict=True)]
    return {
        "schema_version": 1,
        "id": model_id,
        "version": "0.1.0",
        "name": f"MMHVAE {model_id}",
        "summary": f"Imputes missing {', '.join(names)} from any subset of them; imported.",
        "task": "imputation",
        "tags": ["MMHVAE", "imported"],
        "family": "mmhvae",
        "architecture": {
            "layout": "published",
            "modalities": names,
            "widths": list(layout.widths),
            "side": layout.side,
            "vector": layout.vector,
            "head_features": layout.head_features,
            "head_blocks": layout.head_blocks,
        },
        "grid": {
            "shape": list(shape),
            "spacing_mm": list(sizes),
            "origin_mm": origin,
            "space": "MNI152",
            "dim": "2D axial",
        },
        "intensity": {"background": 0.0, "rule": "percentile", "percentile": 99.5},
        "inputs": names,
        "outputs": names,
        "min_inputs": 1,
        "controls": _controls(names),
        "training_data": [{"name": "not stated in the checkpoint", "licence": "NOASSERTION"}],
        "licence": licence or "NOASSERTION",
        "authors": ["not stated in the checkpoint"],
        "citation": "Method: Dorent et al., Unified cross-modal image synthesis with hierarchical "
        "mixture of product-of-experts, TPAMI 2025, arXiv:2410.19378",
        "intended_use": "Research on the imported weights. Not for diagnosis.",
        "limitations": _limitations(layout, spacing),
    }


def _controls(names: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "kind": "modality_set",
            "name": "present",
            "label": "Read from",
            "help": "Modalities that the model may read; switch one off to play at missing.",
            "choices": names,
            "minimum": 1,
        },
        {
            "kind": "modality_set",
            "name": "targets",
            "label": "Impute",
            "help": "Modalities to compute.",
            "choices": names,
        },
        {
            "kind": "continuous",
            "name": "temperature",
            "label": "Temperature",
            "help": "Factor of the posterior's standard deviation; 0 follows the mean.",
            "minimum": 0.0,
            "maximum": 1.0,
            "default": 0.5,
            "step": 0.05,
        },
        {
            "kind": "integer",
            "name": "samples",
            "label": "Samples",
            "help": "Posterior samples behind the mean and the uncertainty. More takes longer.",
            "minimum": 1,
            "maximum": 32,
            "default": 4,
        },
        {
            "kind": "seed",
            "name": "seed",
            "label": "Seed",
            "help": "The same seed gives the same result.",
        },
    ]


def _limitations(layout: PublishedLayout, spacing: float) -> list[str]:
    """What must be known before the results are believed."""
    return [
        "Imported, not measured by us: no figure of quality is known for it here.",
        f"It sees {layout.side * spacing:g} mm x {layout.side * spacing:g} mm around the centre "
        f"of the brain at {spacing:g} mm; the checkpoint does not state its pixel size.",
        "Scans are brought to MNI152 space, their brain is extracted and 1 is its 99.5th "
        "percentile; the release scales by the 99.95th of the whole image and keeps the "
        "patient's space, so results differ from the authors'.",
        "Slices are read with the first image axis to the patient's right and the second to the "
        "front; the orientation of the training slices is not in the checkpoint.",
        "The spread is that of the samples alone (this network has no likelihood scale) and is "
        "too small at low temperature.",
    ]


def _unknown(fields: dict[str, Any], licence: str | None, spacing_mm: float | None) -> list[str]:
    """What the checkpoint does not say, and what was put in its place."""
    spacing = fields["grid"]["spacing_mm"][0]
    notes = [
        "training data and authors are not in a checkpoint; complete card.json",
        "residual connections leave no trace in a state dict; the release's setting (on) is "
        "assumed",
    ]
    if spacing_mm is None:
        notes.append(f"the pixel size is not in a checkpoint; {spacing:g} mm is assumed")
    if licence is None:
        notes.append("the licence is not in a checkpoint; NOASSERTION until you state one")
    return notes
