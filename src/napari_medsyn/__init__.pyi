from napari_medsyn.exploration.counterfactuals import counterfactual
from napari_medsyn.exploration.datasets import SyntheticDataset, data_loader
from napari_medsyn.exploration.generating import generate, generate_arrays, generate_to, sampler

__version__: str

__all__ = [
    "SyntheticDataset",
    "__version__",
    "counterfactual",
    "data_loader",
    "generate",
    "generate_arrays",
    "generate_to",
    "sampler",
]
