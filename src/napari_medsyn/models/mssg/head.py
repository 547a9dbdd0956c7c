"""The template head: a template brain, deformed, repainted and given lesions.

What a style decides are a few dozen coefficients: of a stationary velocity, whose exponential
carries the template to the person (topology stays, edges stay sharp), of the template's
appearance, and of where lesions grow.  The field is cheap at low resolution, and any slice of
the image can be sampled by itself.

The published MSSG has a convolutional generator in this place; see `models.mssg.stack`.
Deformable templates with a generated field: Dalca et al., NeurIPS 2019 (there the template,
here the field is what is conditioned); appearance beside shape: Cootes et al., ECCV 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medsyn.models.mssg.lattice import (
    CONTROLS,
    LATTICE,
    POINT_ML,
    SHAPE,
    coarser,
    exponential,
    points_of,
    velocity,
    warp,
)

#: Share of brain from which a voxel is brain.
HALF: Final = 0.5
#: Width of the edge of a lesion, in the unit of the lesion score.
EDGE: Final = 0.15
#: Blur of the MS clinic's scans across their slices, 2 mm voxels.
THICK: Final = 0.7
#: Halvings that find the threshold of the lesion score.
HALVINGS: Final = 24
#: Span of lesion scores in which the threshold is looked for.
SCORES: Final = (-15.0, 15.0)
#: A load below this (ml) is none.
NO_LOAD: Final = 0.02


@dataclass(frozen=True, eq=False)
class Coefficients:
    """What a style decides, in standard deviations of the training people.

    Parameters
    ----------
    shape : (N, shapes) of the velocity.
    appearance : (N, appearances) of the template's T1.
    lesion : (N, places) of where lesions grow.
    fold : (N,) int64, which of the template's foldings; None for the mean template, 0, whose
        cortex is as grey as that of a mean is.
    """

    shape: Tensor
    appearance: Tensor
    lesion: Tensor
    fold: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Composed:
    """A person before any slice is sampled.

    Parameters
    ----------
    u : (N, 3, *LATTICE) displacement, 2 mm voxels: the person at x is the template at x + u.
    t1, flair : (N, 1, *SHAPE) painted template, normalised intensity.
    lesion : (N, 1, *SHAPE) share of lesion, 0 to 1, in template space.
    """

    u: Tensor
    t1: Tensor
    flair: Tensor
    lesion: Tensor


class TemplateHead(nn.Module):
    """Buffers of the template and of the bases, and what is done with them.

    Parameters
    ----------
    shapes, appearances, places : numbers of coefficients.
    voxels : voxels of the template's brain, in which images and bases are stored.
    folds : how many versions of the template there are: the mean, and crisp ones.
    """

    brain: Tensor
    t1: Tensor
    flair: Tensor
    white: Tensor
    ventricle: Tensor
    edge: Tensor
    shape_basis: Tensor
    appearance_basis: Tensor
    lesion_mean: Tensor
    lesion_basis: Tensor
    lesion_contrast: Tensor

    def __init__(
        self, shapes: int, appearances: int, places: int, voxels: int, folds: int = 1
    ) -> None:
        super().__init__()
        self.register_buffer("brain", torch.zeros(SHAPE, dtype=torch.bool))
        for name in ("t1", "flair"):
            self.register_buffer(name, torch.zeros(folds, voxels))
        for name in ("white", "ventricle", "edge"):
            self.register_buffer(name, torch.zeros(voxels))
        self.register_buffer("shape_basis", torch.zeros(shapes, 3, *CONTROLS))
        self.register_buffer("appearance_basis", torch.zeros(appearances, voxels))
        self.register_buffer("lesion_mean", torch.zeros(LATTICE))
        self.register_buffer("lesion_basis", torch.zeros(places, *LATTICE))
        #: What a lesion adds to white matter in T1 and in FLAIR, normalised intensity.
        self.register_buffer("lesion_contrast", torch.zeros(2))

    def volume(self, values: Tensor) -> Tensor:
        """(N, 1, *SHAPE) of (N, voxels) or (voxels,): values of the brain's voxels, 0 elsewhere."""
        rows = values.reshape(-1, values.shape[-1])
        out = rows.new_zeros(len(rows), self.brain.numel())
        out[:, self.brain.flatten()] = rows
        return out.view(-1, 1, *SHAPE)

    def control_values(self, shape: Tensor) -> Tensor:
        """(N, 3, *CONTROLS) control values of the velocity, 2 mm voxels."""
        values: Tensor = torch.tensordot(shape, self.shape_basis, dims=([1], [0]))
        return values

    def displacement(self, shape: Tensor) -> Tensor:
        """(N, 3, *LATTICE) displacement, 2 mm voxels, from person to template."""
        return exponential(velocity(self.control_values(shape)))

    def painted(self, appearance: Tensor, fold: Tensor | None = None) -> Tensor:
        """(N, voxels) T1 of the template in the look of a person, without lesions."""
        t1 = self.t1[:1] if fold is None else self.t1[fold]
        painted: Tensor = (t1 + appearance @ self.appearance_basis).clamp(0, 1.5)
        return painted

    def lesion_score(self, lesion: Tensor) -> Tensor:
        """(N, 1, *LATTICE) how likely lesions are, in template space, in no unit."""
        score: Tensor = torch.tensordot(lesion, self.lesion_basis, dims=([1], [0]))
        return (self.lesion_mean + score)[:, None]

    def lesion_share(self, lesion: Tensor, load_ml: Tensor, u: Tensor) -> Tensor:
        """(N, 1, *SHAPE) share of lesion in template space, `load_ml` in all in the person.

        The threshold of the score is found by halving, so that the load is met whatever the
        deformation does to the places.

        Parameters
        ----------
        load_ml : (N,).
        u : (N, 3, *LATTICE) displacement.
        """
        if float(load_ml.max()) < NO_LOAD:
            return u.new_zeros(len(u), 1, *SHAPE)
        score = self.lesion_score(lesion)
        host = self.volume(self.white)
        coarse_host = coarser(host).expand(len(u), -1, -1, -1, -1)
        there = warp(torch.cat([score, coarse_host], 1), u)
        threshold = _threshold(there[:, 0].flatten(1), there[:, 1].flatten(1), load_ml)
        fine = F.interpolate(score, SHAPE, mode="trilinear", align_corners=True)
        share = torch.sigmoid((fine - threshold.view(-1, 1, 1, 1, 1)) / EDGE) * host
        return share * (load_ml >= NO_LOAD).view(-1, 1, 1, 1, 1)

    def compose(
        self, coefficients: Coefficients, load_ml: Tensor, *, thick: bool = False
    ) -> Composed:
        """All of a person that does not depend on the slice.

        Parameters
        ----------
        load_ml : (N,).
        thick : as scanned in thick slices: blurred along z.
        """
        u = self.displacement(coefficients.shape)
        lesion = self.lesion_share(coefficients.lesion, load_ml, u)
        fold = coefficients.fold
        t1 = self.volume(self.painted(coefficients.appearance, fold))
        flair = self.volume(self.flair[:1] if fold is None else self.flair[fold])
        if float(load_ml.max()) >= NO_LOAD:  # adding nothing to a volume takes time, too
            t1 = t1 + self.lesion_contrast[0] * lesion
            flair = flair + self.lesion_contrast[1] * lesion
        if thick:
            t1, flair = blurred(t1), blurred(flair)
        return Composed(u, t1, flair.expand_as(t1), lesion)

    def images(self, composed: Composed, slices: Sequence[int]) -> Tensor:
        """(N, 2, X, Y, n) axial slices of T1 and FLAIR, 0 outside the brain.

        The edge is as sharp as that of a brain mask: what lies half within the template's
        brain is brain.
        """
        edge = self.volume(self.edge).expand(len(composed.u), -1, -1, -1, -1)
        volumes = torch.cat([composed.t1, composed.flair, edge], 1)
        made = sample(volumes, composed.u, slices)
        return made[:, :2] * (made[:, 2:] > HALF)

    def ventricle_ml(self, u: Tensor) -> Tensor:
        """(N,) volume of the template's ventricles in the person, ml."""
        coarse = coarser(self.volume(self.ventricle)).expand(len(u), -1, -1, -1, -1)
        return warp(coarse, u).flatten(1).sum(1) * POINT_ML


def sample(image: Tensor, u: Tensor, slices: Sequence[int]) -> Tensor:
    """(N, C, X, Y, n) axial slices of the person of an image (N, C, *SHAPE) of the template."""
    return F.grid_sample(image, points_of(u, slices), align_corners=True, padding_mode="zeros")


def blurred(image: Tensor) -> Tensor:
    """(N, 1, *SHAPE) as seen in slices of 3 to 4 mm: a Gaussian of `THICK` voxels along z."""
    at = torch.arange(-2.0, 3.0, device=image.device)
    kernel = torch.exp(-((at / THICK) ** 2) / 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, 1, 5)
    return F.conv3d(F.pad(image, (2, 2, 0, 0, 0, 0), mode="replicate"), kernel)


@torch.no_grad()
def _threshold(score: Tensor, host: Tensor, load_ml: Tensor) -> Tensor:
    """(N,) above which scores (N, points) make up the load in `host` (N, points)."""
    low = torch.full_like(load_ml, SCORES[0])
    high = torch.full_like(load_ml, SCORES[1])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        share = torch.sigmoid((score - middle[:, None]) / EDGE) * host
        too_many = share.sum(1) * POINT_ML > load_ml
        low, high = torch.where(too_many, middle, low), torch.where(too_many, high, middle)
    return (low + high) / 2
