"""What the card of MSSG-mini says, but for its figures and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from training.data.splits import people
from training.mssg.stack.config import LAYOUT
from training.mssg.stack.slices import PIXEL_MM, SIDE, grid

MODEL_ID: Final = "mssg-stack-brain-t1"

TRAINING_DATA: Final = [
    {
        "name": "IXI, healthy people aged 20 to 82, one 3 T scanner (T1)",
        "licence": "CC-BY-SA-3.0",
        "citation": "IXI dataset, brain-development.org/ixi-dataset",
        "n": len(people("ixi", "train")),
    },
    {
        "name": "White-matter lesion masks, painted into T1s of IXI (the simulated patients)",
        "licence": "CC-BY-4.0",
        "citation": "Lesjak et al. 2017, Neuroinformatics, doi:10.1007/s12021-017-9348-7",
        "n": len(people("ms", "train")),
    },
    {
        "name": "Multiple sclerosis, patients at two visits (T1)",
        "licence": "CC-BY-4.0",
        "citation": "Lesjak et al. 2016, Neuroinformatics",
        "n": len(people("msv", "train")),
    },
]
LIMITATIONS: Final = [
    "Not trained to the end: it saw about a hundred thousand slices on part of one core of a CPU, "
    "a hundredth of what such networks take. Outlines, position and the cohort's look are there; "
    "folds and ventricles are streaks, not anatomy. To be compared with, not to be used.",
    f"Coarse: {SIDE} × {SIDE} pixels of {PIXEL_MM} mm.",
    "Nothing but a common latent holds the slices of a stack together: folds and lesions may "
    "change from one slice to the next, and coronal and sagittal views show it.",
    "Source 2 is simulated but for two patients: real lesions painted into healthy brains, "
    "without the atrophy that goes with them.",
    "No person was ever seen with both ventricles and lesions recorded; their combination is "
    "what the method infers.",
    "Slices were mirrored in training: left and right are interchangeable.",
    "Not wholly as published: path length regularisation and noise are off, and the generator "
    "first learnt to reconstruct the training slices from labels and a random latent of each "
    "person, which keeps it nearer to them than a discriminator alone would.",
    "Intensities are relative to the 99.5th percentile of the brain, not quantitative.",
    "It reads no scan: no inversion, and no counterfactual of a patient.",
]


def controls(supports: Mapping[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """The controls as JSON values.

    Parameters
    ----------
    supports : "age", "ventricles", "lesions" to least and most in training.
    """
    return [
        _number("age", "Age", "years", (15, 90), 45, supports),
        _choice("sex", "Sex", {"F": "female", "M": "male"}),
        _number("ventricles", "Ventricles", "ml", (5, 90), 25, supports),
        _number("lesions", "Lesions", "ml", (0, 60), 10, supports),
        _choice("cohort", "Cohort", {"ixi": "healthy, 3 T", "ms": "multiple sclerosis"}),
        {
            "kind": "continuous",
            "name": "truncation",
            "label": "Truncation",
            "help": "0 gives the mean person with these covariates; 1 the person as drawn.",
            "minimum": 0.0,
            "maximum": 1.5,
            "default": 1.0,
            "step": 0.05,
        },
        {
            "kind": "seed",
            "name": "seed",
            "label": "Seed",
            "help": "The same seed gives the same person.",
            "default": 0,
        },
    ]


def fields(
    records: Sequence[Mapping[str, Any]],
    label_model: Mapping[str, Any],
    supports: Mapping[str, tuple[float, float]],
    metrics: Sequence[Mapping[str, Any]],
    version: str,
    notes: str = "",
) -> dict[str, Any]:
    """The card as JSON values.

    Parameters
    ----------
    records : ``run.json`` of the run, then of those that it was started from, last first.
    label_model : as `training.mssg.label_fitting` wrote it.
    supports, metrics : see `controls` and `benchmarks.stacks`.
    notes : what happened in the training and is in no record.
    """
    record = records[0]
    config = record["config"]
    return {
        "schema_version": 1,
        "id": MODEL_ID,
        "version": version,
        "name": "MSSG-mini brain T1",
        "summary": "Generates T1s of nobody, slice by slice, from age, sex, ventricles, lesions "
        "and cohort; the published method at 64 pixels, for comparison.",
        "task": "conditional",
        "anatomy": ["brain"],
        "tags": ["StyleGAN2", "multi-source", "multiple sclerosis", "ageing"],
        "year": 2026,
        "family": "mssg-stack",
        "architecture": {"features": record["features"], "mapping_rate": LAYOUT.rate},
        "grid": grid(),
        "intensity": {"background": 0.0, "rule": "percentile", "percentile": 99.5},
        "inputs": [],
        "outputs": ["T1"],
        "min_inputs": 0,
        "controls": controls(supports),
        "covariates": ["age", "sex", "ventricles", "lesions", "cohort"],
        "label_model": dict(label_model),
        "metrics": [dict(metric) for metric in metrics],
        "training_data": TRAINING_DATA,
        # IXI's share-alike licence, in the later version that it allows.
        "licence": "CC-BY-SA-4.0",
        "authors": ["The napari-medsyn developers"],
        "citation": "Method: Lai et al., Multi-source StyleGAN, MIDL 2024, PMLR 250:857-887; "
        "Karras et al., StyleGAN2, CVPR 2020, arXiv:1912.04958",
        "intended_use": "Research: to see what the published kind of multi-source generator gives "
        "beside the template head. Not for diagnosis.",
        "limitations": LIMITATIONS,
        "provenance": {
            "command": record["command"],
            "commit": record.get("commit"),
            "seed": config["seed"],
            "config": config,
            "runs": [_shown(each) for each in reversed(records)],
            "notes": notes,
            "hardware": record["hardware"],
            "people": record["people"],
            "data_hash": record["data_hash"],
        },
    }


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """How much a run has seen: slices as examples to reconstruct, and as such of the real."""
    config, steps = record["config"], record["step"]
    alone = min(steps, max(0, config["warm_up"] - config["head_start"]))
    return {
        "command": record["command"],
        "steps": steps,
        "real_slices_shown": steps * config["batch"],
        "of_these_to_the_discriminator": (steps - alone) * config["batch"],
        "minutes": round(record["elapsed_s"] / 60, 1),
    }


def _number(
    name: str,
    label: str,
    unit: str,
    ends: tuple[float, float],
    default: float,
    supports: Mapping[str, tuple[float, float]],
) -> dict[str, Any]:
    low, high = supports[name]
    return {
        "kind": "continuous",
        "name": name,
        "label": label,
        "unit": unit,
        "minimum": float(ends[0]),
        "maximum": float(ends[1]),
        "default": float(default),
        "step": 1.0,
        "support": [round(low, 1), round(high, 1)],
        "unknown": True,
    }


def _choice(name: str, label: str, choices: Mapping[str, str]) -> dict[str, Any]:
    return {
        "kind": "categorical",
        "name": name,
        "label": label,
        "categories": [{"value": value, "label": said} for value, said in choices.items()],
        "default": next(iter(choices)),
        "unknown": True,
    }
