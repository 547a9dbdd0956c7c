"""The card of `mssg-brain-t1`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_medsyn.models.mssg.generator import GROUPS
from napari_medsyn.models.mssg.lattice import SHAPE

#: Range of each slider, and of the training people (least, most).
AGE, AGE_SEEN = (18.0, 90.0), (20.0, 82.0)
VENTRICLES, VENTRICLES_SEEN = (6.0, 80.0), (9.9, 63.0)
LESIONS, LESIONS_SEEN = (0.0, 60.0), (0.0, 50.0)


def controls(directions: Sequence[str]) -> list[dict[str, Any]]:
    """What a user may turn."""
    return [
        _number("age", "Age", "years", AGE, AGE_SEEN, 50.0, 0.5,
                "How old the brain looks; ventricles have a slider of their own."),
        _choice("sex", "Sex", (("F", "Female"), ("M", "Male")), "F"),
        _number("ventricles", "Ventricles", "ml", VENTRICLES, VENTRICLES_SEEN, 22.0, 0.5,
                "Third, fourth and lateral ventricles, in a head of the template's size."),
        _number("lesions", "Lesions", "ml", LESIONS, LESIONS_SEEN, 0.0, 0.5,
                "White-matter lesions of multiple sclerosis, in a head of the template's size."),
        _choice("cohort", "Scanned as",
                (("ixi", "Healthy volunteers, 3 T"), ("ms", "MS clinic, thick slices")), "ixi"),
        {"kind": "seed", "name": "seed", "label": "Person",
         "help": "The same number is the same person, whatever the covariates."},
        {"kind": "continuous", "name": "truncation", "label": "Truncation", "minimum": 0.0,
         "maximum": 1.5, "default": 1.0, "step": 0.05, "support": [0.0, 1.2],
         "help": "1 people as they are, 0 the average person; more than 1 exaggerates."},
        {"kind": "integer", "name": "mixing", "label": "Mix in", "minimum": 0, "maximum": GROUPS,
         "default": 0,
         "help": "How many groups of styles, counted from the finest, the second person gives: "
                 "lesions, appearance, then fine to coarse shape."},
        {"kind": "seed", "name": "mixing_seed", "label": "Second person", "default": 1,
         "help": "Who gives the styles that are mixed in."},
        {"kind": "latent", "name": "directions", "label": "Directions",
         "directions": list(directions),
         "help": "Principal directions of the styles, in standard deviations over people."},
    ]  # fmt: skip


def _number(
    name: str,
    label: str,
    unit: str,
    ends: tuple[float, float],
    seen: tuple[float, float],
    default: float,
    step: float,
    text: str,
) -> dict[str, Any]:
    return {
        "kind": "continuous",
        "name": name,
        "label": label,
        "unit": unit,
        "minimum": ends[0],
        "maximum": ends[1],
        "default": default,
        "step": step,
        "support": list(seen),
        "unknown": True,
        "help": text,
    }


def _choice(
    name: str, label: str, choices: Sequence[tuple[str, str]], default: str
) -> dict[str, Any]:
    return {
        "kind": "categorical",
        "name": name,
        "label": label,
        "categories": [{"value": value, "label": text} for value, text in choices],
        "default": default,
        "unknown": True,
    }


def fields(
    label_model: Mapping[str, Any],
    origin: tuple[float, ...],
    metrics: Sequence[Mapping[str, Any]],
    directions: Sequence[str],
    version: str,
) -> dict[str, Any]:
    """All of the card but its files.

    Parameters
    ----------
    origin : of voxel (0, 0, 0) of the crop, mm.
    directions : names of the principal directions of styles.
    """
    return {
        "schema_version": 1,
        "id": "mssg-brain-t1",
        "version": version,
        "name": "MSSG brain T1",
        "summary": "One brain, the covariates of two cohorts as sliders: people of nobody, or "
        "what your patient would look like.",
        "task": "counterfactual",
        "anatomy": ["brain"],
        "tags": ["counterfactual", "age", "sex", "ventricles", "multiple sclerosis", "StyleGAN",
                 "multi-source", "deformable template"],
        "year": 2026,
        "family": "mssg",
        "architecture": {"head": "template"},
        "grid": {
            "shape": list(SHAPE),
            "spacing_mm": [2.0, 2.0, 2.0],
            "origin_mm": list(origin),
            "orientation": "RAS",
            "space": "MNI152",
            "dim": "3D",
        },
        "intensity": {"background": 0.0, "rule": "percentile", "percentile": 99.5},
        "inputs": ["T1"],
        "outputs": ["T1", "FLAIR"],
        "min_inputs": 0,
        "controls": controls(directions),
        "covariates": ["age", "sex", "ventricles", "lesions", "cohort"],
        "label_model": dict(label_model),
        "metrics": list(metrics),
        "training_data": TRAINING_DATA,
        "licence": "CC-BY-SA-4.0",
        "authors": ["The napari-medsyn developers"],
        "citation": "Method after Lai et al., Heterogeneous medical data integration with "
        "multi-source StyleGAN, MIDL 2024, PMLR 250:857-887; mapping, styles and truncation: "
        "Karras et al., CVPR 2020.",
        "links": ["https://openreview.net/forum?id=IB12ECdJ3a"],
        "intended_use": "Research on what age, sex, ventricles and lesions look like in T1, and "
        "on whether models adhere to what is asked of them. Not for diagnosis, and no forecast "
        "of a patient.",
        "limitations": LIMITATIONS,
        "provenance": {
            "command": "python -m training.mssg.fields --data ../shared/data --run runs/mssg "
            "--out runs/mssg/multi5 --made 2000",
            "seed": 0,
            "recipe": "training/mssg/README.md",
        },
    }  # fmt: skip


TRAINING_DATA = [
    {
        "name": "IXI, healthy people, training part (T1, age, sex, ventricles)",
        "licence": "CC-BY-SA-3.0",
        "citation": "IXI dataset, brain-development.org/ixi-dataset",
        "n": 101,
    },
    {
        "name": "Multiple sclerosis, two patients at two visits (T1 contrast), training part",
        "licence": "CC-BY-4.0",
        "citation": "Lesjak et al. 2016, Neuroinformatics",
        "n": 2,
    },
    {
        "name": "White-matter lesion masks with age and sex, training part",
        "licence": "CC-BY-4.0",
        "citation": "Lesjak et al. 2017, Neuroinformatics, doi:10.1007/s12021-017-9348-7",
        "n": 17,
    },
    {
        "name": "SynthSeg label maps (folds of the cortex)",
        "licence": "Apache-2.0",
        "citation": "Billot et al. 2023, Medical Image Analysis 86, 102789",
        "n": 6,
    },
]

LIMITATIONS = [
    "A counterfactual shows how people of other covariates differ in the training data; it is "
    "no forecast of how this patient will age, and no cause is shown.",
    "Learnt from 101 healthy adults of one scanner: other scanners, children and other diseases "
    "are beyond it.",
    "Patients with multiple sclerosis are mostly simulated: real lesion masks painted into scans "
    "of healthy people, so that lesions neither shrink the brain nor widen the ventricles by "
    "themselves.",
    "Anatomy is that of a template, deformed smoothly: nothing grows that is not in the "
    "template or in the patient's own scan, and tumours are none of its business.",
    "People of nobody have one of six foldings of the cortex.",
    "The FLAIR of people of nobody was imputed from the T1 template by mmhvae-brain-mr-1mm: "
    "for looking at lesions, not for intensities.",
    "Generated on a grid of 2 mm; the patient's own scan keeps its resolution.",
]
