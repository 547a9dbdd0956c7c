"""The head's buffers out of what `bases` has found, and a whole generator in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from scipy import ndimage
from torch import Tensor

from napari_medsyn.models.mssg.generator import MultiSourceGenerator, Sizes
from napari_medsyn.models.mssg.head import TemplateHead
from napari_medsyn.models.mssg.lattice import CONTROLS
from training.mssg.folds import flair_of, sharpened

#: What a lesion adds to white matter, normalised intensity: T1, FLAIR.  Measured in training
#: scans (`training/simulator/looks.json`): -0.11 and 0.22 with lesions' edges in them.
LESION_CONTRAST = (-0.18, 0.26)
#: How much of what a blur of one voxel takes away is added beforehand, since sampling a
#: deformed template blurs it about as much.  Of 0 to 0.4 this brought the features of 16 made
#: people nearest to those of training people.
EMPHASIS = 0.3


def fill_head(head: TemplateHead, run: Path) -> None:
    """Fill the buffers of `head` from `bases.npz`, `flair.npy` and `folds.npz` of a run."""
    with np.load(run / "bases.npz") as z:
        arrays = {name: torch.from_numpy(z[name]) for name in z.files}
    head.brain.copy_(arrays["brain"])
    for name in ("white", "ventricle", "appearance_basis", "lesion_mean", "lesion_basis"):
        getattr(head, name).copy_(arrays[name])
    head.t1[0].copy_(arrays["t1"])
    with np.load(run / "registered.npz") as z:
        head.edge.copy_(torch.from_numpy(z["template"][-1].astype(np.float32))[arrays["brain"]])
    head.shape_basis.copy_(arrays["shape_basis"].view(-1, 3, *CONTROLS))
    head.lesion_contrast.copy_(torch.tensor(LESION_CONTRAST))
    head.flair[0].copy_(torch.from_numpy(np.load(run / "flair.npy")))
    brain = arrays["brain"].numpy()
    t1, flair = (spread(buffer[0].numpy(), brain) for buffer in (head.t1, head.flair))
    with np.load(run / "folds.npz") as z:
        for number, detail in enumerate(z["details"].astype(np.float32), 1):
            crisp = sharpened(t1, detail, brain)
            head.t1[number].copy_(torch.from_numpy(emphasised(crisp, brain)[brain]))
            edged = sharpened(flair, flair_of(t1, flair, crisp, brain), brain)
            head.flair[number].copy_(torch.from_numpy(emphasised(edged, brain)[brain]))


def emphasised(image: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """An image of the template, sharpened within the brain by `EMPHASIS`."""
    inside = ndimage.gaussian_filter(brain.astype(np.float32), 1.0)
    blur = ndimage.gaussian_filter(image * brain, 1.0) / np.maximum(inside, 0.1)
    sharper: NDArray[np.float32] = ((1 + EMPHASIS) * image - EMPHASIS * blur) * brain
    return sharper.clip(0.02, 1.2) * brain


def spread(values: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(X, Y, Z) of the values of the brain's voxels."""
    volume = np.zeros(brain.shape, np.float32)
    volume[brain] = values
    return volume


def empty_generator(run: Path, z: int = 64, w: int = 128, layers: int = 4) -> MultiSourceGenerator:
    """A generator of the sizes that `bases.npz` and `folds.npz` of a run have."""
    with np.load(run / "folds.npz") as file:
        folds = 1 + len(file["ids"])
    with np.load(run / "bases.npz") as file:
        sizes = Sizes(
            z,
            w,
            layers,
            len(file["shape_basis"]),
            len(file["appearance_basis"]),
            len(file["lesion_basis"]),
            int(file["brain"].sum()),
            folds,
        )
    return MultiSourceGenerator(sizes, directions=8)


def save_generator(path: Path, generator: MultiSourceGenerator, **others: Tensor) -> None:
    """Write everything as float32 safetensors; `package` makes it small."""
    tensors = {name: tensor.contiguous() for name, tensor in generator.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    save_file({**tensors, **others}, temporary)
    temporary.replace(path)


def load_generator(path: Path) -> MultiSourceGenerator:
    """What `save_generator` has written."""
    tensors = load_file(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    generator = MultiSourceGenerator(Sizes.from_shapes(shapes), shapes["directions"][0])
    own = generator.state_dict().keys()
    generator.load_state_dict({name: tensors[name] for name in own})
    return generator.eval().requires_grad_(False)
