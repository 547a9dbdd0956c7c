"""Made-up heads and visits for the recipe: boxes within boxes, no file of others needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from training.mmhvae.config import GRID_SHAPE
from training.mmhvae.scans import Visit

#: Label maps cover this part of MNI space, mm: the brain, with a margin.
SHAPE = (120, 150, 110)
ORIGIN = (-60.0, -90.0, -50.0)
#: FreeSurfer labels of the made-up structures, outermost first: fluid, cortex, white, ventricle.
LABELS = (0, 24, 3, 2, 4)


def write_data(folder: Path) -> Path:
    """Two label maps and two patients' lesions, in the files of the shared data."""
    codes = np.zeros((2, *SHAPE[::-1]), np.uint8)
    for head, grown in zip(codes, (0, 6), strict=True):
        for code, margin in enumerate((4, 12, 22, 50), start=1):
            inner = tuple(slice(m - grown // 3, -m + grown // 3) for m in (margin,) * 3)
            head[inner] = code
    affine = np.eye(4)
    affine[:3, 3] = ORIGIN
    table = np.array(LABELS + (0,) * (256 - len(LABELS)))
    (folder / "label_maps").mkdir(parents=True)
    np.savez(
        folder / "label_maps" / "synthseg_labels_mni1mm.npz",
        codes_zyx=codes,
        code_to_freesurfer_label=table,
        affine_xyz=affine,
    )
    lesions = np.zeros((2, *SHAPE), np.uint8)
    lesions[0, 25:35, 25:35, 30:80] = 1
    lesions[1, 80:90, 100:110, 30:80] = 1
    (folder / "lesions").mkdir()
    np.savez(
        folder / "lesions" / "lesions_mni1mm.npz",
        bits=np.packbits(lesions.reshape(2, -1), axis=1),
        shape=np.array(lesions.shape),
        patients=np.array(["patient07", "patient08"]),
        affine=affine,
    )
    return folder


def make_visit(person: str, present: tuple[bool, ...], brightness: float = 0.5) -> Visit:
    """A visit on the model's grid with brain in slices 60 to 79."""
    x, y, z = GRID_SHAPE
    mask = torch.zeros(z, x, y, dtype=torch.bool)
    mask[60:80, 40:120, 50:150] = True
    images = torch.zeros(4, z, x, y, dtype=torch.float16)
    for m in range(4):
        if present[m]:
            images[m, 60:80, 40:120, 50:150] = brightness + 0.1 * m
    return Visit(person, f"{person} visit", images, torch.tensor(present), mask)


def seeded(seed: int = 0) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    """Whether two batches are bit-identical."""
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
