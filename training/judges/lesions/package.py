"""Make the lesion judge's package: ``python -m training.judges.lesions.package --run …``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from napari_medsyn.models.judges.lesions import LESION
from training.data.grids import GRID_SHAPE, MODALITIES, model_affine
from training.data.splits import people
from training.judges import packaging

MODEL_ID = "judge-lesions-mr"
LIMITATIONS = [
    "No real lesion was ever learnt from: lesions were painted into simulated slices and into "
    "slices of two patients with multiple sclerosis and one with a glioma, in which what may be "
    "a lesion of their own was left out. Lesions of other kinds may be missed or misnamed.",
    "Not yet fit to measure real scans of a scanner that it has not seen: on the one real test "
    "patient (Lesjak et al. 2017, patient 07) it takes bright cortex for lesions and finds "
    "several times their volume. Figures of simulated people are optimistic, because they come "
    "from the simulator that training used, with other label maps and masks.",
    "Works slice by slice at 1 mm on scans registered to MNI152: volumes are those of a head "
    "brought to the template, and lesions in cortex and cerebellum are rarely found.",
    "Without FLAIR, and from T1 alone above all, many lesions are not visible to it.",
    "Tumours, strokes and bright rims around the ventricles may be called lesions.",
]


def training_data() -> list[dict[str, Any]]:
    """What the weights were fitted to."""
    return [
        {
            "name": "SynthSeg label maps (simulated slices)",
            "licence": "Apache-2.0",
            "citation": "Billot et al. 2023, Medical Image Analysis 86, 102789",
            "n": len(people("synthseg", "train")),
        },
        {
            "name": "Lesion masks of patients with multiple sclerosis",
            "licence": "CC-BY-4.0",
            "citation": "Lesjak et al. 2017, Neuroinformatics, doi:10.1007/s12021-017-9348-7",
            "n": len(people("ms", "train")),
        },
        {
            "name": "Two-visit scans of patients with multiple sclerosis",
            "licence": "CC-BY-4.0",
            "citation": "Lesjak et al. 2016, Neuroinformatics",
            "n": len(people("msv", "train")),
        },
        {
            "name": "One glioma (BraTS 2021)",
            "licence": "CC-BY-4.0",
            "citation": "Baid et al. 2021, arXiv:2107.02314",
            "n": len(people("glioma", "train")),
        },
    ]


def card(
    run: dict[str, Any], calibration: dict[str, Any], metrics: list[dict[str, Any]], version: str
) -> dict[str, Any]:
    """The card as JSON values, but for its files."""
    return {
        "schema_version": 1,
        "id": MODEL_ID,
        "version": version,
        "name": "Lesion judge (MR), experimental",
        "summary": "Looks for white-matter lesions in any of T1, T1c, T2 and FLAIR; an experiment "
        "that finds far too many in scans of a scanner it has not seen.",
        "kind": "judge",
        "family": "lesion-judge",
        "architecture": run["architecture"],
        "grid": {**packaging.grid_card(GRID_SHAPE, model_affine()), "dim": "2D axial"},
        "intensity": {"background": 0.0, "rule": "percentile", "percentile": 99.5},
        "inputs": list(MODALITIES),
        "outputs": ["lesions"],
        "min_inputs": 1,
        "readings": [
            {
                "name": "lesion_ml",
                "label": "White-matter lesions",
                "unit": "ml",
                "help": "Volume of all lesions found, in MNI152 space.",
            },
            {
                "name": "lesion_count",
                "label": "Number of lesions",
                "help": "Groups of lesion voxels that touch, if only at a corner.",
            },
        ],
        "legends": {"lesions": [{"code": LESION, "name": "White-matter lesion"}]},
        "metrics": metrics,
        "training_data": training_data(),
        "licence": "CC-BY-4.0",
        "authors": ["The napari-medsyn developers"],
        "citation": "Network: U-Net, Ronneberger et al. 2015, MICCAI, LNCS 9351, 234-241",
        "intended_use": packaging.INTENDED_USE,
        "limitations": LIMITATIONS,
        "calibration": {k: calibration[k] for k in ("thresholds", "smallest_voxels")},
        "provenance": {
            "command": run["command"],
            "start": run.get("start"),
            "commit": run["commit"],
            "seed": run["config"]["seed"],
            "config": run["config"],
            "steps": run["step"],
            "seconds": run["elapsed_s"],
            "hardware": run["hardware"],
            "people": "train part of training/data/splits.json; thresholds: validation part",
            "validation": {
                k: v for k, v in calibration.items() if k.startswith(("dice", "recall"))
            },
            "data_hash": run["data_hash"],
        },
    }


def main() -> None:
    """Write the package; refuse a card that does not validate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, calibrated")
    parser.add_argument("--metrics", type=Path, help="JSON list of benchmarks.lesions")
    parser.add_argument("--preview", type=Path, help="picture to ship beside the weights")
    parser.add_argument("--version", default="0.1.0")
    args = parser.parse_args()
    run = json.loads((args.run / "run.json").read_text())
    calibration = json.loads((args.run / "calibration.json").read_text())
    metrics = json.loads(args.metrics.read_text()) if args.metrics else []
    tensors = packaging.half(load_file(args.run / "weights.safetensors"))
    values = card(run, calibration, metrics, args.version)
    packaging.write_package(packaging.MODELS / MODEL_ID, values, tensors, args.preview)


if __name__ == "__main__":
    main()
