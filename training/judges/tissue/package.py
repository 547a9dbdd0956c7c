"""Make the tissue judge's package: ``python -m training.judges.tissue.package --run …``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from training.data.healthy import Healthy
from training.data.sources import data_hash
from training.judges import packaging, people
from training.judges.tissue.classes import TISSUES

MODEL_ID = "judge-tissue-t1"
LIMITATIONS = [
    "Learnt from the labels of DLMUSE, a network itself, in healthy adults on one 3 T scanner: "
    "it repeats their errors, and lesions or tumours are named as some healthy tissue.",
    "Works at 2 mm on scans affinely registered to MNI152: volumes are those of a head brought "
    "to the size of the template, not of the patient's own head.",
    "Tells tissues apart within the brain mask it is given; fluid outside the mask is missing.",
    "T1 without contrast agent; other contrasts and children were not tried.",
]


def card(
    run: dict[str, Any], metrics: list[dict[str, Any]], folk: Healthy, data: str, version: str
) -> dict[str, Any]:
    """The card as JSON values, but for its files."""
    x, y, z = folk.labels.shape[1:]
    return {
        "schema_version": 1,
        "id": MODEL_ID,
        "version": version,
        "name": "Tissue judge (T1)",
        "summary": "Names eight tissues in a T1 at 2 mm and measures their volumes.",
        "kind": "judge",
        "family": "tissue-judge",
        "architecture": run["architecture"],
        "grid": packaging.grid_card((x, y, z), folk.affine),
        "intensity": {"background": 0.0, "rule": "percentile", "percentile": 99.5},
        "inputs": ["T1"],
        "outputs": ["tissues"],
        "min_inputs": 1,
        "readings": [
            {
                "name": tissue.key,
                "label": tissue.name,
                "unit": "ml",
                "help": "Sum of the tissue's shares of the brain's voxels, in MNI152 space.",
            }
            for tissue in TISSUES
        ],
        "legends": {"tissues": [{"code": t.code, "name": t.name} for t in TISSUES]},
        "metrics": metrics,
        "training_data": [{**packaging.IXI, "n": len(run["people"])}],
        "licence": "CC-BY-SA-3.0",
        "authors": ["The napari-medsyn developers"],
        "citation": "Labels: DLMUSE, after MUSE, Doshi et al. 2016, NeuroImage 127, 186-195",
        "intended_use": packaging.INTENDED_USE,
        "limitations": LIMITATIONS,
        "provenance": {
            "command": run["command"],
            "commit": run["commit"],
            "seed": run["config"]["seed"],
            "config": run["config"],
            "steps": run["step"],
            "seconds": run["elapsed_s"],
            "hardware": run["hardware"],
            "people": packaging.WHO,
            "data_hash": data,
        },
    }


def main() -> None:
    """Write the package; refuse a card that does not validate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--metrics", type=Path, help="JSON list of benchmarks.judges")
    parser.add_argument("--preview", type=Path, help="picture to ship beside the weights")
    parser.add_argument("--version", default="1.0.0")
    args = parser.parse_args()
    run = json.loads((args.run / "run.json").read_text())
    metrics = json.loads(args.metrics.read_text()) if args.metrics else []
    folk = people.load(args.data, people.judges_people()[:1])
    tensors = packaging.half(load_file(args.run / "weights.safetensors"))
    values = card(run, metrics, folk, data_hash(args.data), args.version)
    packaging.write_package(packaging.MODELS / MODEL_ID, values, tensors, args.preview)


if __name__ == "__main__":
    main()
