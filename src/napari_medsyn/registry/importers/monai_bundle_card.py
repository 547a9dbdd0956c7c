"""The card of an imported MONAI bundle: what its configuration and metadata amount to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from napari_medsyn.registry.importers.checkpoints_package import identifier
from napari_medsyn.registry.importers.monai_bundle_description import Bundle
from napari_medsyn.registry.importers.monai_bundle_known import Known, guess_modality, known
from napari_medsyn.registry.importers.monai_bundle_parts import Kind
from napari_medsyn.registry.importers.monai_bundle_text import read_text_file

_UNKNOWN_LICENCE: Final = "NOASSERTION"
#: Names of controls that the session or the family gives a meaning.
_TAKEN: Final = frozenset({"seed", "steps", "latent", "present", "targets"})
#: Steps on offer; fewer give noise, more cost time.
FEWEST_STEPS, MOST_STEPS = 5, 50


@dataclass(frozen=True, slots=True)
class Made:
    """What only the networks themselves tell.

    Parameters
    ----------
    arguments : kind to the arguments of MONAI's class, complete.
    shape : voxels of the image along right, front and top.
    parameters : how many numbers the networks have.
    memory_gb : of memory that making an image takes, about.
    """

    arguments: Mapping[Kind, Mapping[str, Any]]
    shape: tuple[int, int, int]
    parameters: int
    memory_gb: float


def orientation_of(bundle: Bundle) -> str:
    """Where the axes of the network's output point; pictures and planes included."""
    facts = known(bundle.metadata)
    if facts is not None:
        return facts.orientation
    words = f"{bundle.metadata.get('data_type', '')}".lower()
    return "LPS" if re.search(r"jpe?g|png|bmp|tiff?", words) else "RAS"


def card_fields(
    bundle: Bundle, made: Made | None, *, model_id: str | None, licence: str | None
) -> tuple[dict[str, Any], list[str]]:
    """The fields of the card but for its files, and notes on what was not to be had.

    Parameters
    ----------
    bundle : what `read_bundle` gave.
    made : None for a bundle that is only listed.
    model_id : the card's id; None takes the folder's name.
    licence : SPDX identifier; None reads the bundle's LICENSE.
    """
    metadata, facts = bundle.metadata, known(bundle.metadata)
    notes = list(bundle.notes)
    said = _texts(metadata)
    name = said["name"] or said["task"] or bundle.folder.name
    fields: dict[str, Any] = {
        "schema_version": 1,
        "id": identifier(model_id, bundle.folder.resolve()),
        "version": _version(said["version"], notes),
        "name": name,
        "summary": said["description"] or said["task"],
        "task": "conditional" if bundle.covariates else "unconditional",
        "anatomy": list(facts.anatomy) if facts else [],
        "tags": ["MONAI bundle"],
        "inputs": [],
        "min_inputs": 0,
        "intensity": {"rule": "unit"},
        "metrics": _metrics(metadata, notes),
        "training_data": [_training_data(said, facts)],
        "licence": licence or _licence(bundle, notes),
        "authors": _authors(said["authors"]),
        "citation": facts.citation if facts else "",
        "intended_use": f"{said['intended_use']} Research use; not for diagnosis.".strip(),
        "limitations": _limitations(bundle, facts),
        "doi": list(facts.doi) if facts else [],
        "links": list(facts.links) if facts else [],
        "provenance": {
            "command": "medsyn models import monai-bundle",
            "source": f"MONAI bundle {name} {said['version']}",
            "monai_version": said["monai_version"],
        },
    }
    if facts and facts.year:
        fields["year"] = facts.year
    fields |= _listed(bundle) if made is None else _native(bundle, made, notes)
    return fields, notes


def _native(bundle: Bundle, made: Made, notes: list[str]) -> dict[str, Any]:
    is_flat = made.shape[2] == 1
    covariates = [_covariate(bundle, i, live=is_flat) for i in range(len(bundle.covariates))]
    spacing = _spacing(bundle.metadata)
    if spacing is None:
        notes.append("The bundle does not say how large a voxel is; it is drawn as 1 mm.")
    if known(bundle.metadata) is None:
        notes.append(
            "The bundle does not say where the axes of its images point; "
            f"{orientation_of(bundle)} is assumed. Compare left and right before you rely on it."
        )
    return {
        "execution": "native",
        "family": "monai-gan" if bundle.sampling is None else "monai-diffusion",
        "architecture": _architecture(bundle, made, [c["name"] for c in covariates]),
        "grid": {
            "shape": list(made.shape),
            "spacing_mm": spacing,
            "space": "unknown",
            "dim": "2D" if is_flat else "3D",
        },
        "outputs": _outputs(bundle),
        "controls": [*covariates, *_own_controls(bundle, live=is_flat)],
        "requires": _requires(made, is_flat),
    }


def _listed(bundle: Bundle) -> dict[str, Any]:
    """The card of MAISI, the one bundle that is only listed."""
    return {
        "execution": "none",
        "family": "maisi",
        "architecture": {},
        "grid": {"shape": [512, 512, 512], "space": "unknown", "dim": "3D"},
        "outputs": _outputs(bundle),
        "requires": {"extra": "monai", "memory_gb": 58.0, "gpu": True, "note": bundle.listed},
    }


def _architecture(bundle: Bundle, made: Made, covariates: list[str]) -> dict[str, Any]:
    shared: dict[str, Any] = {
        **{str(kind): dict(arguments) for kind, arguments in made.arguments.items()},
        "output_range": _output_range(bundle),
        "orientation": orientation_of(bundle),
    }
    sampling = bundle.sampling
    if sampling is None:
        return {**shared, "prior": bundle.noise, "sigmoid": bundle.sigmoid}
    return {
        **shared,
        "scheduler": {
            "sampler": sampling.sampler,
            "arguments": dict(sampling.arguments),
            "spacing": sampling.spacing,
            "steps": sampling.steps,
        },
        "noise": {"shape": list(bundle.shape), "prior": bundle.noise},
        "covariates": covariates,
        "scale_factor": sampling.scale_factor,
    }


def _own_controls(bundle: Bundle, *, live: bool) -> list[dict[str, Any]]:
    """Latent and seed of a generator; steps and seed of a diffusion."""
    seed = {"kind": "seed", "name": "seed", "label": "Seed", "live": live}
    if bundle.sampling is not None:
        return [*_steps(bundle), seed]
    size = 1
    for side in bundle.shape:
        size *= side
    reach = 1.0 if bundle.noise == "uniform" else 3.0
    latent = {
        "kind": "latent",
        "name": "latent",
        "label": "Latent",
        "help": "Moves each number of the latent vector that the seed has drawn.",
        "directions": [f"z{i + 1}" for i in range(size)],
        "minimum": -reach,
        "maximum": reach,
    }
    return [latent, seed]


def _steps(bundle: Bundle) -> list[dict[str, Any]]:
    sampling = bundle.sampling
    trained = int(sampling.arguments.get("num_train_timesteps", 1000)) if sampling else 0
    if sampling is None or trained < 2:
        return []
    is_ddpm = sampling.sampler == "ddpm"
    default = min(sampling.steps, MOST_STEPS)
    help_text = "More steps give a cleaner image and take longer."
    if is_ddpm:
        help_text = (
            f"With {trained} steps noise is added at each, as the bundle does (DDPM); with fewer "
            "the same network is sampled without (DDIM)."
        )
    return [
        {
            "kind": "integer",
            "name": "steps",
            "label": "Denoising steps",
            "help": help_text,
            "minimum": min(FEWEST_STEPS, trained - 1, default),
            "maximum": trained if is_ddpm else min(trained, max(MOST_STEPS, default)),
            "default": default,
            "live": False,
        }
    ]


def _covariate(bundle: Bundle, place: int, *, live: bool) -> dict[str, Any]:
    """The control of one covariate; its label and range are the metadata's."""
    name, default = bundle.covariates[place]
    label, (low, high) = _said_of_covariate(bundle, place, name)
    key = re.sub(r"\W", "_", name).lower()
    if key in ("sex", "gender") and default in (0.0, 1.0):
        return {
            "kind": "categorical",
            "name": "sex",
            "label": "Sex",
            "help": (
                "As coded in the training data, which the bundle does not explain. UK Biobank "
                "itself codes 0 for female and 1 for male."
            ),
            "categories": [{"value": 0, "label": "0"}, {"value": 1, "label": "1"}],
            "default": int(default),
            "live": live,
        }
    is_normalised = (low, high) == (0.0, 1.0)
    return {
        "kind": "continuous",
        "name": f"{key}_value" if key in _TAKEN else key,
        "label": f"{label} (normalised)" if is_normalised else label,
        "help": f"From {low:g} to {high:g}; the bundle does not say what the ends stand for.",
        "minimum": low,
        "maximum": high,
        "default": min(max(default, low), high),
        "step": (high - low) / 100,
        "support": [low, high],
        "live": live,
    }


def _said_of_covariate(bundle: Bundle, place: int, name: str) -> tuple[str, tuple[float, float]]:
    """Label and range from the metadata's inputs, where they list as many covariates."""
    count = len(bundle.covariates)
    for tensor in _tensors(bundle.metadata, "network_data_format", "inputs"):
        names = tensor.get("channel_def")
        if isinstance(names, dict) and len(names) == count > 0:
            label = str(names.get(str(place), name))[:60].strip() or name
            return label, _range(tensor.get("value_range")) or (0.0, 1.0)
    return name.replace("_", " ").capitalize(), (0.0, 1.0)


def _outputs(bundle: Bundle) -> list[str]:
    facts = known(bundle.metadata)
    if facts is not None:
        return [facts.modality]
    kept = ("image_classes", "task", "description", "name")
    words = " ".join(str(bundle.metadata.get(key, "")) for key in kept)
    return [guess_modality(words)]


def _output_range(bundle: Bundle) -> list[float]:
    key = "autoencoder_data_format" if "autoencoder" in bundle.networks else "network_data_format"
    for tensor in _tensors(bundle.metadata, key, "outputs"):
        told = _range(tensor.get("value_range"))
        if told is not None:
            return list(told)
    return [0.0, 1.0]


def _requires(made: Made, is_flat: bool) -> dict[str, Any]:
    requires: dict[str, Any] = {"extra": "monai", "memory_gb": round(made.memory_gb, 1)}
    if not is_flat and made.memory_gb > 4:
        requires["note"] = (
            f"{made.parameters / 1e6:.0f} million weights; without a GPU an image takes minutes"
        )
    return requires


def _spacing(metadata: Mapping[str, Any]) -> list[float] | None:
    """Voxel size out of words such as "with 1.1x1.1x1.1 mm voxel size"."""
    number = r"(\d{1,2}(?:\.\d{1,3})?)"
    words = str(metadata.get("image_classes", ""))
    match = re.search(rf"{number}x{number}(?:x{number})? ?mm", words)
    if match is None:
        return None
    sides = [float(side) for side in match.groups() if side is not None]
    return [*sides, 1.0][:3] if min(sides) > 0 else None


def _metrics(metadata: Mapping[str, Any], notes: list[str]) -> list[dict[str, Any]]:
    """The metrics whose better direction is known: FID.  Others are named in a note."""
    told = metadata.get("eval_metrics")
    values = told if isinstance(told, dict) else {}
    left = [name for name in values if name.lower() != "fid"]
    if left:
        notes.append(f"Metrics without a known direction were left out: {', '.join(left)[:200]}.")
    return [
        {
            "name": "FID",
            "value": float(value),
            "direction": "lower",
            "data_set": str(metadata.get("data_source", "not stated"))[:200] or "not stated",
            "note": "From the bundle's metadata; not measured again.",
        }
        for name, value in values.items()
        if name.lower() == "fid" and isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _training_data(said: Mapping[str, str], facts: Known | None) -> dict[str, Any]:
    if facts is None:
        return {"name": said["data_source"] or "not stated", "licence": "not stated"}
    return {
        "name": facts.data,
        "licence": facts.data_licence,
        "citation": facts.data_citation,
        "n": facts.patients,
    }


def _limitations(bundle: Bundle, facts: Known | None) -> list[str]:
    limits = list(facts.limitations) if facts else []
    if bundle.noise == "uniform" and bundle.sampling is not None:
        limits.append("The bundle begins with uniform noise where the method has normal noise.")
    return [*limits, "It was imported; how good its images are has not been measured here."]


def _licence(bundle: Bundle, notes: list[str]) -> str:
    """What the bundle's LICENSE begins with, as an SPDX identifier."""
    if bundle.listed:
        return "LicenseRef-NCLS-v1"
    path = bundle.folder / "LICENSE"
    if path.exists():
        text = read_text_file(path)
        if re.search(r"Apache License\s+Version 2\.0", text):
            return "Apache-2.0"
        if re.search(r"\bMIT License\b", text):
            return "MIT"
    notes.append("The licence of the weights is not known; give it by --licence.")
    return _UNKNOWN_LICENCE


def _authors(told: str) -> list[str]:
    names = [name.strip() for name in re.split(r",\s*(?:and\s+)?|\s+and\s+", told)]
    return [name for name in names if name][:50] or ["not stated"]


def _version(told: str, notes: list[str]) -> str:
    if re.fullmatch(r"\d+(\.\d+){0,3}([a-z]+\d+)?", told):
        return told
    notes.append("The bundle's version is missing or of an unknown form; it is called 0.")
    return "0"


def _texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    keys = (
        "name", "task", "description", "version", "authors", "intended_use", "data_source",
        "monai_version",
    )  # fmt: skip
    told = {key: metadata.get(key) for key in keys}
    return {k: v.strip()[:2000] if isinstance(v, str) else "" for k, v in told.items()}


def _tensors(metadata: Mapping[str, Any], key: str, side: str) -> list[dict[str, Any]]:
    """The descriptions of a network's inputs or outputs, as far as they are tables."""
    part = metadata.get(key)
    tensors = part.get(side) if isinstance(part, dict) else None
    values = tensors.values() if isinstance(tensors, dict) else ()
    return [tensor for tensor in values if isinstance(tensor, dict)]


def _range(told: Any) -> tuple[float, float] | None:
    """Two rising numbers, or nothing."""
    if not isinstance(told, list) or len(told) != 2:
        return None
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in told):
        return None
    low, high = float(told[0]), float(told[1])
    return (low, high) if low < high else None
