"""Look inside medical generative models, live, next to the patient's own scan.

Research use; not for diagnosis.  Importing this package imports neither torch
nor Qt nor SimpleITK: each floor is imported when it is first used.

    import napari_medsyn

    for sample in napari_medsyn.generate("mmhvae-brain-mr-1mm", n=4, study=study):
        sample.images["FLAIR"]

The types of these names stand in ``__init__.pyi``.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

#: Public name to the module that has it, which is imported when the name is first used.
_PLACES = {
    "SyntheticDataset": "napari_medsyn.exploration.datasets",
    "counterfactual": "napari_medsyn.exploration.counterfactuals",
    "data_loader": "napari_medsyn.exploration.datasets",
    "generate": "napari_medsyn.exploration.generating",
    "generate_arrays": "napari_medsyn.exploration.generating",
    "generate_to": "napari_medsyn.exploration.generating",
    "sampler": "napari_medsyn.exploration.generating",
}

__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
