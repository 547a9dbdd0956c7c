"""Make the model package that ships: ``python -m training.mmhvae.package --run runs/final``.

Writes card.json, weights.safetensors and preview.png to ``resources/models/<id>/``.  The
figures on the card are those of ``benchmarks/imputation.py`` on patients held out of
runs of the same recipe; see ``training/README.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from napari_medsyn.registry.card import parse_card
from training.data.sources import data_hash
from training.data.splits import people
from training.mmhvae.config import GRID_ORIGIN, GRID_SHAPE, MODALITIES

MODEL_ID = "mmhvae-brain-mr-1mm"
OUT = Path(__file__).parents[2] / "resources" / "models" / MODEL_ID

CONTROLS: list[dict[str, Any]] = [
    {
        "kind": "modality_set",
        "name": "present",
        "label": "Read from",
        "help": "Modalities that the model may read; switch one off to play at missing.",
        "choices": list(MODALITIES),
        "minimum": 1,
    },
    {
        "kind": "modality_set",
        "name": "targets",
        "label": "Impute",
        "help": "Modalities to compute.",
        "choices": list(MODALITIES),
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
        "default": 0,
    },
]
TRAINING_DATA = [
    {
        "name": "Multiple sclerosis, two patients at two visits (T1, T2, FLAIR)",
        "licence": "CC-BY-4.0",
        "citation": "Lesjak et al. 2016, Neuroinformatics",
        "n": 2,
    },
    {
        "name": "BraTS 2021, one glioma (T1, T1c, T2, FLAIR)",
        "licence": "CC-BY-4.0",
        "citation": "Baid et al. 2021, arXiv:2107.02314",
        "n": 1,
    },
    {
        "name": "SynthSeg label maps (simulated contrasts)",
        "licence": "Apache-2.0",
        "citation": "Billot et al. 2023, Medical Image Analysis 86, 102789",
        "n": len(people("synthseg", "train")),
    },
    {
        "name": "White-matter lesion masks (for simulated and painted lesions)",
        "licence": "CC-BY-4.0",
        "citation": "Lesjak et al. 2017, Neuroinformatics, doi:10.1007/s12021-017-9348-7",
        "n": len(people("ms", "train")),
    },
    {
        "name": "IXI, healthy people (mean T1 contrast of each tissue, for simulated contrasts)",
        "licence": "CC-BY-SA-3.0",
        "citation": "IXI dataset, brain-development.org/ixi-dataset",
        "n": len(people("ixi", "train")),
    },
]
LIMITATIONS = [
    "Trained on three people and on simulated brains: expect errors on scanners, ages and "
    "diseases it has not seen.",
    "Contrast enhancement cannot be known from the other modalities: imputed T1c shows "
    "anatomy, not enhancement.",
    "Lesions are weakened or lost in an imputed image: of the contrast of white-matter lesions in "
    "a FLAIR imputed from the others, 5 % was left in the test patient, 39 % of those that changed "
    "between the visits of the validation patient, 50 % in simulated heads. A FLAIR without "
    "lesions does not mean that there are none.",
    "Intensities are relative to the 99.5th percentile of the brain, not quantitative.",
    "Adult brains only; the scan is registered to MNI152 space by an affine.",
]


def card(
    run: Path, version: str, metrics: list[dict[str, Any]], data_hash: str = ""
) -> dict[str, Any]:
    """The card as JSON values, but for its files.

    The uncertainty is calibrated as ``calibration.json`` of the run says, if there is one.
    `data_hash` is for runs that did not note their own.
    """
    record = json.loads((run / "run.json").read_text())
    return {
        "schema_version": 1,
        "id": MODEL_ID,
        "version": version,
        "name": "MMHVAE brain MR 1 mm",
        "summary": "Imputes missing T1, T1c, T2 and FLAIR from any subset of them.",
        "task": "imputation",
        "anatomy": ["brain"],
        "tags": ["missing modalities", "multiple sclerosis", "glioma", "uncertainty", "VAE"],
        "year": 2026,
        "family": "mmhvae",
        "architecture": record["architecture"],
        "grid": {
            "shape": list(GRID_SHAPE),
            "spacing_mm": [1.0, 1.0, 1.0],
            "origin_mm": list(GRID_ORIGIN),
            "orientation": "RAS",
            "space": "MNI152",
            "dim": "2D axial",
        },
        "intensity": {"background": 0.0, "rule": "percentile", "percentile": 99.5},
        "inputs": list(MODALITIES),
        "outputs": list(MODALITIES),
        "min_inputs": 1,
        "controls": CONTROLS,
        "metrics": metrics,
        "training_data": TRAINING_DATA,
        # IXI's share-alike licence, in the later version that it allows.
        "licence": "CC-BY-SA-4.0",
        "authors": ["The napari-medsyn developers"],
        "citation": "Method: Dorent et al., Unified cross-modal image synthesis with hierarchical "
        "mixture of product-of-experts, TPAMI 2025, arXiv:2410.19378",
        "doi": ["10.1109/TPAMI.2025.3616632"],
        "intended_use": "Research on missing MR modalities of the adult brain: to look at, to "
        "compare and to complete the input of segmentation. Not for diagnosis.",
        "limitations": LIMITATIONS,
        "provenance": {
            "command": record.get("command", "python -m training.mmhvae, see training/README.md"),
            "seed": record["config"]["seed"],
            "config": record["config"],
            "start": _start(record["start"]),
            "data_hash": record.get("data_hash") or data_hash,
        },
        "calibration": _calibration(run),
    }


def main() -> None:
    """Write the package; refuse a card that does not validate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the final run")
    parser.add_argument("--metrics", type=Path, help="JSON list written by the benchmark")
    parser.add_argument("--data", type=Path, help="data folder, if the run did not note its hash")
    parser.add_argument("--preview", type=Path, help="picture to ship beside the weights")
    parser.add_argument("--version", default="1.0.0")
    args = parser.parse_args()
    metrics = json.loads(args.metrics.read_text()) if args.metrics else []
    known = data_hash(args.data) if args.data else ""
    values = card(args.run, args.version, metrics, known)
    if not values["provenance"]["data_hash"]:
        parser.error(f"{args.run} did not note what it was trained on; give --data")
    parse_card(json.dumps({**values, "files": [_described(args.run / "weights.safetensors")]}))
    OUT.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(args.run / "weights.safetensors", OUT / "weights.safetensors")
    if args.preview:
        shutil.copyfile(args.preview, OUT / "preview.png")
    names = [n for n in ("weights.safetensors", "preview.png") if (OUT / n).exists()]
    values["files"] = [_described(OUT / name) for name in names]
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    parse_card(text)
    (OUT / "card.json").write_text(text, encoding="utf-8")


def _calibration(run: Path) -> dict[str, Any] | None:
    """What `training.mmhvae.calibrate` found for this run."""
    path = run / "calibration.json"
    return json.loads(path.read_text()) if path.exists() else None


def _start(weights: str | None) -> dict[str, str] | None:
    """Which run the weights to start from were of, and their hash if they are still there."""
    if weights is None or weights == "None":  # as runs before this version noted it
        return None
    path = Path(weights)
    content = {"sha256": str(_described(path)["sha256"])} if path.exists() else {}
    return {"run": path.parent.name, **content}


def _described(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "name": path.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


if __name__ == "__main__":
    main()
