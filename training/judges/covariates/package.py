"""Make the covariate judge's package: ``python -m training.judges.covariates.package --run …``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from training.data.healthy import Healthy
from training.judges import packaging, people
from training.judges.covariates.__main__ import VENTRICLES

MODEL_ID = "judge-covariates-t1"
#: Stored in full precision: they carry the size that the maps were divided by.
FULL = ("scale", "offset")
LIMITATIONS = [
    "Ventricles read about 2 ml larger than DLMUSE draws them; the difference between two scans "
    "of one head is free of that.",
    "Healthy adults aged 20 to 82 on one 3 T scanner: the age is the brain-predicted age of "
    "that population, and disease, another scanner or a bad registration moves it.",
    "Drawn towards the mean age: it reads young brains as older and old ones as younger.",
    "Sex is a probability from the shape of tissues: about one healthy person in five is read "
    "wrongly, and women of another scanner were read as men.",
    "Scans are affine to MNI152, so head size is gone; volumes are those of a head brought to "
    "the size of the template.",
    "T1 without contrast agent only. Its tissue network shares the limits of judge-tissue-t1.",
]
READINGS = [
    {
        "name": "age",
        "label": "Brain-predicted age",
        "unit": "years",
        "help": "Age of the healthy people whose tissues are most alike.",
    },
    {
        "name": "male",
        "label": "Probability of being male",
        "help": "0 female, 1 male; calibrated by logistic regression on held-out scores.",
    },
    {
        "name": "ventricles",
        "label": "Ventricles",
        "unit": "ml",
        "help": "Third, fourth and lateral ventricles together, in MNI152 space.",
    },
]


def card(
    run: dict[str, Any], metrics: list[dict[str, Any]], folk: Healthy, version: str
) -> dict[str, Any]:
    """The card as JSON values, but for its files."""
    figures = run["figures"]
    x, y, z = folk.labels.shape[1:]
    return {
        "schema_version": 1,
        "id": MODEL_ID,
        "version": version,
        "name": "Covariate judge (T1)",
        "summary": "Reads age, sex and ventricular volume off a T1.",
        "kind": "judge",
        "family": "covariate-judge",
        "architecture": {**run["architecture"], "ventricles_code": VENTRICLES + 1},
        "grid": packaging.grid_card((x, y, z), folk.affine),
        "intensity": {"background": 0.0, "rule": "percentile", "percentile": 99.5},
        "inputs": ["T1"],
        "outputs": [],
        "min_inputs": 1,
        "readings": READINGS,
        "metrics": [*cross_validated(figures["cross_validation"], run["config"]), *metrics],
        "training_data": [{**packaging.IXI, "n": len(people.judges_people())}],
        "licence": "CC-BY-SA-3.0",
        "authors": ["The napari-medsyn developers"],
        "citation": "Features: voxel-based morphometry, Ashburner and Friston 2000, NeuroImage 11, "
        "805-821",
        "intended_use": packaging.INTENDED_USE,
        "limitations": LIMITATIONS,
        "provenance": {
            "command": run["command"],
            "commit": run["commit"],
            "seed": run["config"]["seed"],
            "config": run["config"],
            "hardware": run["hardware"],
            "people": packaging.WHO,
            "data_hash": run["data_hash"],
        },
        "calibration": {
            "age_sd": figures["age_sd"],
            "ventricles_sd": figures["ventricles_sd"],
        },
    }


def cross_validated(figures: dict[str, Any], config: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures of the cross-validation as metrics of the card."""
    shown = {
        "age_mae": ("Age, mean absolute error (years)", "lower"),
        "mean_predictor_age_mae": (
            "Age of the mean-predictor, mean absolute error (years)", "lower",
        ),
        "age_r": ("Age, r", "higher"),
        "sex_accuracy": ("Sex, accuracy", "higher"),
        "ventricles_r": ("Ventricles, r", "higher"),
    }  # fmt: skip
    note = (
        f"{config['count']}-fold cross-validation over people, {config['repeats']} times; "
        "the tissue network beneath had seen the judges' people, but not age or sex"
    )
    return [
        {
            "name": name,
            "value": figures[key],
            "direction": better,
            "data_set": "IXI, all people",
            "n": figures["n"],
            "note": note,
        }
        for key, (name, better) in shown.items()
    ]


def main() -> None:
    """Write the package; refuse a card that does not validate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument("--run", type=Path, required=True, help="folder of the fit")
    parser.add_argument("--metrics", type=Path, help="JSON list of benchmarks.judges")
    parser.add_argument("--preview", type=Path, help="picture to ship beside the weights")
    parser.add_argument("--version", default="1.0.0")
    args = parser.parse_args()
    run = json.loads((args.run / "run.json").read_text())
    metrics = json.loads(args.metrics.read_text()) if args.metrics else []
    folk = people.load(args.data, people.judges_people()[:1])
    tensors = packaging.half(load_file(args.run / "weights.safetensors"), FULL)
    values = card(run, metrics, folk, args.version)
    packaging.write_package(packaging.MODELS / MODEL_ID, values, tensors, args.preview)


if __name__ == "__main__":
    main()
