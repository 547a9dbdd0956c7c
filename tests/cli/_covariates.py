"""Controls of a model of people, for the tests of the command line."""

from __future__ import annotations

#: Covariates, which may be unknown, and controls that are no covariates.
CONTROLS = [
    {
        "kind": "continuous",
        "name": "age",
        "label": "Age",
        "minimum": 18,
        "maximum": 90,
        "step": 1,
        "default": 45.0,
        "unit": "years",
        "support": [20, 86],
        "unknown": True,
    },
    {
        "kind": "categorical",
        "name": "sex",
        "label": "Sex",
        "default": "F",
        "categories": [{"value": "F", "label": "Female"}, {"value": "M", "label": "Male"}],
        "unknown": True,
    },
    {
        "kind": "continuous",
        "name": "truncation",
        "label": "Truncation",
        "minimum": 0,
        "maximum": 1.5,
        "step": 0.05,
        "default": 1.0,
    },
    {
        "kind": "integer",
        "name": "mixing",
        "label": "Mixing",
        "minimum": 0,
        "maximum": 6,
        "default": 0,
    },
    {"kind": "boolean", "name": "mirror", "label": "Mirror"},
    {"kind": "latent", "name": "latent", "label": "Latent", "directions": ["wide", "tall", "old"]},
    {"kind": "seed", "name": "seed", "label": "Seed"},
]

COVARIATES = ("age", "sex")
