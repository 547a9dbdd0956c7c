"""Brains with a label map: batches of slices in four contrasts, made as they are needed.

Anatomy comes from SynthSeg's 20 label maps (Billot et al. 2023, Apache-2.0), lesions from
the masks of Lesjak et al. 2017 (CC-BY); contrast is drawn per structure and modality from
wide ranges, so no real scan's voxels enter.  Randomising contrast like this follows
Billot et al., "SynthSeg", Medical Image Analysis 2023, section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from training.anatomy import LabelMaps
from training.data.grids import GRID_SHAPE, MODALITIES, to_model_grid
from training.data.label_maps import load_label_maps
from training.data.masks import LesionMasks, load_lesion_masks
from training.data.splits import Part
from training.simulator import looks
from training.simulator.simulator import BRIGHTER

# Structures with a look of their own; FreeSurfer labels (left and right).
GROUPS: dict[str, tuple[int, ...]] = {
    "white": (2, 41, 85, 30, 62, 72),
    "cerebellar white": (7, 46),
    "cortex": (3, 42, 17, 53, 18, 54, 136, 137, 163, 164),
    "cerebellar cortex": (8, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50, 26, 58),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "stem": (16, 28, 60),
    "ventricle": (4, 5, 14, 15, 43, 44),
    "fluid": (24,),
    "lesion": (25, 57),
}
#: Mean of each structure relative to the 99.5th percentile of a brain, by modality.
LOOK: dict[str, dict[str, float]] = {
    name: dict(zip(MODALITIES, looks.TYPICAL[name], strict=True)) for name in GROUPS
}
# How a unit of hidden tissue texture (myelin, water) moves each modality.
TEXTURE = {"T1": -0.05, "T1c": -0.035, "T2": 0.05, "FLAIR": 0.05}
NAMES = tuple(GROUPS)
GREY = tuple(name for name in looks.GREY if name in GROUPS)


class Simulator:
    """Label maps and lesion masks in memory; `batch` makes slices from them.

    Parameters
    ----------
    maps : whole heads, 1 mm along the axes of MNI space.
    lesions : masks of white-matter lesions, the same.
    laden : share of the slices that are drawn where a patient has lesions.
    """

    def __init__(self, maps: LabelMaps, lesions: LesionMasks, laden: float = 0.0) -> None:
        self.laden = laden
        group_of = np.zeros(len(maps.labels), np.uint8)
        for number, labels in enumerate(GROUPS.values(), start=1):
            group_of[np.flatnonzero(np.isin(maps.labels, labels))] = number
        self.groups = _sliced((group_of[codes] for codes in maps.codes), maps.affine)
        self.lesions = on_grid(lesions)
        self.area = self.lesions.sum(dim=(2, 3)).float()
        tissue = (self.groups > 0) & (self.groups != NAMES.index("fluid") + 1)
        self.usable = [torch.nonzero(t.sum(dim=(1, 2)) > 1500)[:, 0] for t in tissue]

    @classmethod
    def load(cls, data: Path, parts: Sequence[Part] = ("train",), laden: float = 0.0) -> Simulator:
        """With the anatomy and the lesions of some parts of the split."""
        maps, lesions = load_label_maps(data, parts=parts), load_lesion_masks(data, parts=parts)
        return cls(maps, lesions, laden)

    def batch(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Random slices with their neighbours: see `training.mmhvae.slabs.SliceSource`."""
        groups, lesion, slices = self._draw(n, generator)
        groups, lesion = self._deform(groups, lesion, generator)
        images = self._paint(groups, lesion, generator)
        brain = self._brain(groups, generator)
        images = _blur(images, generator) * brain[:, None]
        drawn = (groups[:, 1] == NAMES.index("lesion") + 1).float()
        there = torch.maximum(spots(groups, lesion)[:, 1], drawn)
        return _to_full_scale(images, generator), there, slices

    def _draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        groups, lesions, slices = [], [], []
        for _ in range(n):
            who = int(torch.randint(len(self.groups), (), generator=generator))
            usable = self.usable[who]
            k = int(usable[torch.randint(len(usable), (), generator=generator)])
            k = min(max(k, 1), GRID_SHAPE[2] - 2)
            whose = int(torch.randint(len(self.lesions), (), generator=generator))
            if self.laden and float(torch.rand((), generator=generator)) < self.laden:
                k = self._laden(whose, usable, k, generator)
            groups.append(self.groups[who, k - 1 : k + 2])
            lesions.append(self.lesions[whose, k - 1 : k + 2])
            slices.append(k)
        return torch.stack(groups).float(), torch.stack(lesions).float(), torch.tensor(slices)

    def _laden(self, whose: int, usable: Tensor, k: int, generator: torch.Generator) -> int:
        """A height at which a patient has lesions, rather where there are many; or else `k`."""
        heights = usable[(usable >= 1) & (usable <= GRID_SHAPE[2] - 2)]
        chances = self.area[whose, heights].sqrt()
        if not chances.any():
            return k
        return int(heights[torch.multinomial(chances, 1, generator=generator)])

    def _deform(
        self, groups: Tensor, lesion: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        where = random_warp(len(groups), generator, atrophy=True)
        groups = F.grid_sample(groups, where, mode="nearest", align_corners=False)
        lesion = F.grid_sample(lesion, where, mode="bilinear", align_corners=False)
        return groups.long(), lesion

    def _paint(self, groups: Tensor, lesion: Tensor, generator: torch.Generator) -> Tensor:
        n = len(groups)
        look = torch.tensor([[LOOK[g][m] for g in NAMES] for m in MODALITIES])
        jitter = torch.randn(n, *look.shape, generator=generator)
        table = look * (1 + 0.06 * jitter)
        # Protocols differ in how far grey matter stands from white, and in how dark fluid is.
        grey = torch.tensor([g in GREY for g in NAMES]).float()
        contrast = uniform((n, len(MODALITIES), 1), -0.12, 0.10, generator)
        table = table * (1 + contrast * grey)
        fluid = torch.tensor([g in looks.FLUIDS for g in NAMES]).float()
        darker = uniform((n, len(MODALITIES), 1), 0.4, 1.1, generator)
        darker[:, MODALITIES.index("T2")] = 1.0
        table = table * (1 + (darker - 1) * fluid)
        table[:, 1] *= uniform((n, 1), 0.85, 1.5, generator)  # vessels set T1c's scale
        table[:, 2, :-3] *= uniform((n, 1), 0.8, 1.25, generator)  # T2: fluid sets the scale
        table[:, :, -1] += 0.08 * torch.randn(n, len(MODALITIES), generator=generator)
        table = torch.cat([torch.zeros(n, len(MODALITIES), 1), table], dim=2)
        flat = groups.flatten(1)[:, None].expand(-1, len(MODALITIES), -1)
        images = table.gather(2, flat).view(n, len(MODALITIES), *groups.shape[1:])
        spot = spots(groups, lesion)[:, None]
        images = images + spot * (table[:, :, -1][:, :, None, None, None] - images)
        texture = smooth_noise(n, 6, generator) + 0.7 * smooth_noise(n, 24, generator)
        solid = (groups > 0)[:, None]
        weight = torch.tensor(list(TEXTURE.values()))[None, :, None, None, None]
        return images + solid * weight * texture[:, None]

    def _brain(self, groups: Tensor, generator: torch.Generator) -> Tensor:
        """Masks as tight or as generous as different brain extractions are."""
        tissue = ((groups > 0) & (groups != NAMES.index("fluid") + 1)).float()
        margin = int(torch.randint(2, 7, (), generator=generator))
        near = F.max_pool2d(tissue, 2 * margin + 1, stride=1, padding=margin)
        return near * (groups > 0)


def spots(groups: Tensor, lesion: Tensor) -> Tensor:
    """(n, 3, X, Y): of a mask's lesions what lies in white matter or the brain stem.

    Parameters
    ----------
    groups : (n, 3, X, Y) structures, 0 for nothing and n + 1 for the n-th of `NAMES`.
    lesion : (n, 3, X, Y) in [0, 1].
    """
    white, stem = (NAMES.index(name) + 1 for name in ("white", "stem"))
    return lesion * ((groups == white) | (groups == stem))


def on_grid(lesions: LesionMasks) -> Tensor:
    """(N, Z, X, Y) uint8: lesion masks on the model grid."""
    return _sliced((mask.astype(np.uint8) for mask in lesions.masks), lesions.affine)


def random_warp(n: int, generator: torch.Generator, *, atrophy: bool = False) -> Tensor:
    """(n, X, Y, 2) sampling positions of a random smooth deformation for `grid_sample`."""
    shape = GRID_SHAPE[:2]
    angle = uniform((n,), -0.12, 0.12, generator)
    scale = uniform((n, 2), 0.93, 1.1, generator)
    shift = uniform((n, 2), -0.05, 0.05, generator)
    flip = torch.ones(n)
    flip[torch.rand(n, generator=generator) < 0.5] = -1.0
    theta = torch.zeros(n, 2, 3)
    # grid_sample's first coordinate runs along the last axis (Y, anterior).
    theta[:, 0, 0] = angle.cos() * scale[:, 0]
    theta[:, 0, 1] = -angle.sin()
    theta[:, 1, 0] = angle.sin() * flip
    theta[:, 1, 1] = angle.cos() * scale[:, 1] * flip
    theta[:, :, 2] = shift
    where = F.affine_grid(theta, [n, 1, *shape], align_corners=False)
    coarse = 0.02 * torch.randn(n, 2, 6, 7, generator=generator)
    fine = 0.008 * torch.randn(n, 2, 14, 16, generator=generator)
    field = sum(
        F.interpolate(f, shape, mode="bicubic", align_corners=False) for f in (coarse, fine)
    )
    where = where + torch.as_tensor(field).permute(0, 2, 3, 1)
    if atrophy:  # enlarge or shrink what lies around the ventricles
        amount = uniform((n, 1, 1, 1), -0.15, 0.45, generator)
        centre = torch.tensor([0.05, 0.0])
        reach = ((where - centre) ** 2 / torch.tensor([0.16, 0.12])).sum(-1, keepdim=True)
        where = centre + (where - centre) * (1 - amount * torch.exp(-reach))
    return where


def smooth_noise(
    n: int, cells: int, generator: torch.Generator, shape: tuple[int, int] = GRID_SHAPE[:2]
) -> Tensor:
    """(n, 3, *shape) smooth noise of unit size with about `cells` bumps along an axis."""
    noise = torch.randn(n, 1, cells, cells, generator=generator)
    return F.interpolate(noise, shape, mode="bicubic", align_corners=False).expand(-1, 3, -1, -1)


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Uniform random numbers in [low, high)."""
    return low + (high - low) * torch.rand(shape, generator=generator)


def _to_full_scale(images: Tensor, generator: torch.Generator) -> Tensor:
    """Scale as real scans are: 1 is the 99.5th percentile of the whole brain.

    The slice's own percentile stands in for the brain's, times what other slices may hold
    that is brighter: vessels, lesions, bright fluid (`BRIGHTER`).
    """
    for image in images:
        for m in range(len(MODALITIES)):
            brain = image[m, 1][image[m, 1] > 0]
            if len(brain) > 0:
                share = float(uniform((1,), *BRIGHTER[m], generator))
                image[m] *= share / torch.quantile(brain, 0.995)
    return images


def _blur(images: Tensor, generator: torch.Generator) -> Tensor:
    """Partial volume: a Gaussian of 0.5 to 1.1 voxels, a little different by modality."""
    out = []
    for m in range(images.shape[1]):
        sigma = float(uniform((1,), 0.5, 1.1, generator))
        offsets = torch.arange(-2.0, 3.0)
        kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
        kernel = kernel / kernel.sum()
        x = images[:, m].flatten(0, 1)[:, None]
        x = F.conv2d(x, kernel.view(1, 1, -1, 1), padding=(2, 0))
        x = F.conv2d(x, kernel.view(1, 1, 1, -1), padding=(0, 2))
        out.append(x.view(images[:, m].shape))
    return torch.stack(out, dim=1)


def _sliced(volumes: Iterable[NDArray[np.uint8]], affine: NDArray[np.float64]) -> Tensor:
    """(N, Z, X, Y) on the model's grid; a slice is contiguous."""
    moved = (to_model_grid(volume, affine).transpose(2, 0, 1) for volume in volumes)
    return torch.from_numpy(np.stack([np.ascontiguousarray(volume) for volume in moved]))
