"""Made-up heads, visits and batches for imputation: boxes within boxes, no file needed."""

from __future__ import annotations

import numpy as np
import torch
from training.anatomy import LabelMaps
from training.data.grids import GRID_SHAPE
from training.data.masks import LesionMasks
from training.data.multimodal import Visit

#: A network of a few thousand parameters.
TINY = {
    "layout": "compact",
    "modalities": ["T1", "T1c", "T2", "FLAIR"],
    "widths": [8, 8],
    "latents": [2, 2],
    "patch": 2,
    "context": 1,
    "positions": 3,
    "head_features": 8,
}
#: Label maps and lesions cover this part of MNI space, mm: the brain, with a margin.
SHAPE = (120, 150, 110)
ORIGIN = (-60.0, -90.0, -50.0)
#: FreeSurfer labels of the made-up structures, outermost first: fluid, cortex, white, ventricle.
LABELS = (0, 24, 3, 2, 4)


def make_label_maps():
    """Two heads, the second a little larger."""
    codes = np.zeros((2, *SHAPE), np.uint8)
    for head, grown in zip(codes, (0, 6), strict=True):
        for code, margin in enumerate((4, 12, 22, 50), start=1):
            inner = tuple(slice(m - grown // 3, -m + grown // 3) for m in (margin,) * 3)
            head[inner] = code
    return LabelMaps(codes, np.array(LABELS), affine())


def make_lesions():
    """Two patients with one box of lesion each."""
    masks = np.zeros((2, *SHAPE), bool)
    masks[0, 25:35, 25:35, 30:80] = True
    masks[1, 80:90, 100:110, 30:80] = True
    ages, volumes = np.array([40.0, 50.0], np.float32), np.array([5.0, 5.0], np.float32)
    return LesionMasks(("ms-01", "ms-02"), ages, np.array(["F", "M"]), volumes, masks, affine())


def affine():
    """(4, 4) of the made-up maps."""
    out = np.eye(4)
    out[:3, 3] = ORIGIN
    return out


def make_visit(person, present, brightness=0.5):
    """A visit on the model's grid with brain in slices 60 to 79."""
    x, y, z = GRID_SHAPE
    mask = torch.zeros(z, x, y, dtype=torch.bool)
    mask[60:80, 40:120, 50:150] = True
    images = torch.zeros(4, z, x, y, dtype=torch.float16)
    for m in range(4):
        if present[m]:
            images[m, 60:80, 40:120, 50:150] = brightness + 0.1 * m
    return Visit(person, f"{person} visit", images, torch.tensor(present), mask)


def small_visit(person="msv-12", name="", present=(True, False, True, True), lesions=False):
    """Eight slices of 48 x 64 with texture, whose modalities follow from one another."""
    generator = torch.Generator().manual_seed(len(person) + len(name))
    t1 = torch.rand(8, 48, 64, generator=generator)
    mask = torch.zeros(8, 48, 64, dtype=torch.bool)
    mask[:, 2:46, 4:60] = True
    drawn = None
    if lesions:
        drawn = torch.zeros_like(mask)
        drawn[:, 20:26, 30:38] = True
    images = torch.stack([t1, 0.8 * t1, 1 - 0.9 * t1, 0.3 + 0.4 * t1]) * mask
    if drawn is not None:
        images[3] += 0.3 * drawn
    images *= torch.tensor(present)[:, None, None, None]
    return Visit(
        person, name or f"{person}_visit1", images.half(), torch.tensor(present), mask, drawn
    )


def layered_visit(person="a", present=(True, False, True, True)):
    """Fluid around grey around white matter, and a spot in the white that is bright in FLAIR."""
    tissue = torch.zeros(12, 40, 40, dtype=torch.long)
    for code, margin in enumerate((2, 7, 12), start=1):
        tissue[:, margin:-margin, margin:-margin] = code
    looks = torch.tensor(
        [[0, 0.2, 0.6, 0.9], [0, 0.2, 0.4, 0.6], [0, 0.9, 0.5, 0.3], [0, 0.2, 0.8, 0.7]]
    )
    images = looks[:, tissue] + 0.01 * torch.randn(4, *tissue.shape, generator=seeded())
    images[3, 4:8, 18:20, 18:20] = 1.2
    images = images * (tissue > 0) * torch.tensor(present)[:, None, None, None]
    return Visit(person, f"{person} visit", images.half(), torch.tensor(present), tissue > 0)


class Slices:
    """Stands in for the real scans: three modalities, random blobs."""

    def batch(self, n, generator):
        """As `RealSlices.batch`."""
        images = torch.rand(n, 4, 3, 32, 48, generator=generator)
        images[:, 1] = 0
        mask = torch.zeros(n, 32, 48, dtype=torch.bool)
        mask[:, 3:23, 4:40] = True
        images = images * mask[:, None, None]
        present = torch.tensor([True, False, True, True])
        slices = torch.randint(1, 159, (n,), generator=generator)
        lesion = torch.zeros_like(mask, dtype=torch.float32)
        lesion[:, 8:12, 10:14] = 1.0
        return 0.9 * images, images[:, :, 1], present, mask, lesion, slices


class Simulated:
    """Stands in for the simulator: all modalities, a random brain."""

    def batch(self, n, generator):
        """As `Simulator.batch`."""
        images = 0.1 + torch.rand(n, 4, 3, *GRID_SHAPE[:2], generator=generator)
        brain = torch.rand(1, 1, 1, *GRID_SHAPE[:2], generator=generator) > 0.5
        lesion = torch.zeros(n, *GRID_SHAPE[:2])
        return images * brain, lesion, torch.randint(1, 159, (n,), generator=generator)


def seeded(seed=0):
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def same(one, other):
    """Whether two batches are bit-identical."""
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
