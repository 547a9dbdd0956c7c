"""Real slices with lesions painted in; what may be a lesion of their own is not judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import Tensor
from torch.nn import functional as F

from training.data.grids import GRID_SHAPE, MODALITIES
from training.data.multimodal import BRIGHTEST, Visit
from training.harness.machine import generator_of
from training.judges.lesions.bank import Bank, joined, stored
from training.judges.lesions.painting import paint, regrey
from training.mmhvae.scans import pretended_contrast
from training.mmhvae.simulate import random_warp

T1, T1C, T2, FLAIR = range(len(MODALITIES))
#: Stream of random numbers.
BANK = 103
#: Standard deviations above the mean of its tissue from which a voxel in FLAIR is suspect.
SUSPECT_WHITE, SUSPECT_ELSEWHERE = 2.0, 2.5
#: Share of slices with a T1 but no T1c that get a pretended one.
PRETENDED = 0.5
#: Slices with fewer brain voxels than this teach little.
SMALLEST = 2000


@dataclass(frozen=True, eq=False)
class Canvas:
    """A visit to paint lesions into.

    Parameters
    ----------
    images : (4, Z, X, Y) float16, normalised intensity.
    present : (4,) bool.
    white : (Z, X, Y) bool, white matter that may hold a lesion.
    grey : (Z, X, Y) bool, grey matter.
    level : (4,) intensity of white matter; 0 where missing.
    known : (Z, X, Y) bool, brain without what may be a lesion of the person's own.
    usable : slices that may be drawn.
    weight : how often the visit is drawn.
    """

    images: Tensor
    present: Tensor
    white: Tensor
    grey: Tensor
    level: Tensor
    known: Tensor
    usable: Tensor
    weight: float


def canvases(visits: Sequence[Visit]) -> list[Canvas]:
    """The visits, each person as often as another, the glioma half as often.

    A visit without T1 takes its white matter from the person's other visit, which lies on
    the same grid.
    """
    t1 = {v.person: v.images[T1] for v in visits if v.present[T1]}
    people = [v.person for v in visits]
    return [
        _canvas(
            v,
            t1[v.person].float().numpy(),
            (0.5 if v.person.startswith("glioma") else 1.0) / people.count(v.person),
        )
        for v in visits
        if v.person in t1
    ]


def painted_visit(visit: Visit, lesions: Tensor, seed: int, most: int | None = None) -> Visit:
    """A visit with the lesions of a mask painted in, and grey matter changed, all of one look.

    Parameters
    ----------
    lesions : (Z, X, Y), mask on the model grid.
    most : neighbouring slices that are kept, those with the most lesion; all if None.

    Returns
    -------
    The slices; `mask` is False where the visit may have a lesion of its own, too: there the
    painted mask is not the whole truth.
    """
    (source,) = canvases([visit])
    load = (lesions * source.white).sum(dim=(1, 2)).float()[1:-1]
    most = len(load) if most is None else most
    low = 1 + int(load.unfold(0, most, 1).sum(dim=1).argmax())
    images = torch.zeros_like(visit.images)
    target = torch.zeros_like(visit.mask)
    for k in range(low, low + most):
        three = slice(k - 1, k + 2)
        made = regrey(
            visit.images[:, three].float()[None],
            source.grey[three].float()[None],
            source.level[None],
            generator_of(seed, 1, BANK),
        )
        made, there = paint(
            made,
            lesions[three].float()[None],
            source.white[three].float()[None],
            source.level[None],
            generator_of(seed, 0, BANK),
        )
        images[:, k], target[k] = made[0, :, 1].half(), there[0]
    known = (source.known | target) & (images.amax(dim=0) > 0)
    return replace(visit, images=images.clamp(max=BRIGHTEST), mask=known, lesions=target)


def _canvas(visit: Visit, t1: NDArray[np.float32], weight: float) -> Canvas:
    mask = visit.mask.numpy()
    flair = visit.images[FLAIR].float().numpy()
    white, grey = tissues(t1, mask)
    known = mask & ~suspect(flair, white, grey)
    paintable = white & known
    images = visit.images.float().numpy()
    level = [float(np.median(image[paintable])) if image.any() else 0.0 for image in images]
    usable = np.flatnonzero(mask.sum(axis=(1, 2)) > SMALLEST)
    return Canvas(
        visit.images,
        visit.present,
        torch.from_numpy(paintable),
        torch.from_numpy(grey),
        torch.tensor(level),
        torch.from_numpy(known),
        torch.from_numpy(usable).clamp(1, GRID_SHAPE[2] - 2),
        weight,
    )


def tissues(
    t1: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """White and grey matter by intensity alone: Otsu's threshold of the T1, twice.

    The first parts fluid from tissue, the second grey matter from white.

    Parameters
    ----------
    t1 : (Z, X, Y) normalised intensity.
    mask : (Z, X, Y) bool, brain.
    """
    inside = ndimage.binary_erosion(mask, iterations=3)
    darker = threshold_otsu(t1[inside])
    brighter = threshold_otsu(t1[inside & (t1 > darker)])
    white = ndimage.median_filter((t1 > brighter) & inside, 3)
    return white, (t1 > darker) & (t1 <= brighter) & inside


def suspect(
    flair: NDArray[np.float32], white: NDArray[np.bool_], grey: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(Z, X, Y): too bright in FLAIR to be called healthy, and what touches it.

    Within white matter, its holes included, the bound is white matter's own; elsewhere
    grey matter's.  Spread is 1.4826 times the median absolute deviation.
    """
    deep = ndimage.binary_closing(white, iterations=3)
    bounds = []
    for tissue, factor in ((white, SUSPECT_WHITE), (grey, SUSPECT_ELSEWHERE)):
        values = flair[tissue]
        middle = np.median(values)
        bounds.append(middle + factor * 1.4826 * np.median(np.abs(values - middle)))
    smooth = ndimage.gaussian_filter(flair, 0.5)
    bright = (smooth > bounds[1]) | (deep & (smooth > bounds[0]))
    return ndimage.binary_dilation(bright)  # type: ignore[no-any-return]


class PaintedSlices:
    """Random slices of real visits with lesions of real masks.

    Parameters
    ----------
    lesions : (N, Z, X, Y) uint8, masks on the model grid.
    """

    def __init__(self, sources: Sequence[Canvas], lesions: Tensor) -> None:
        self.sources, self.lesions = list(sources), lesions
        self.weights = torch.tensor([source.weight for source in sources])
        self.load = lesions.sum(dim=(2, 3)).float()

    def bank(self, size: int, seed: int) -> Bank:
        """Random slices."""
        return joined([self.draw(generator_of(seed, i, BANK)) for i in range(size)])

    def draw(self, generator: torch.Generator) -> Bank:
        """One slice, deformed; its lesions come from near the same height of some mask."""
        source = self.sources[int(torch.multinomial(self.weights, 1, generator=generator))]
        usable = source.usable
        k = int(usable[torch.randint(len(usable), (), generator=generator)])
        cut = slice(k - 1, k + 2)
        where = random_warp(1, generator, atrophy=True)
        images = _warped(source.images[:, cut].float().flatten(0, 1)[None], where)
        images = images.view(1, len(MODALITIES), 3, *GRID_SHAPE[:2])
        white = _warped(source.white[cut].float()[None], where)
        grey = _warped(source.grey[cut].float()[None], where)
        images = regrey(images, grey, source.level[None], generator)
        known = _warped(source.known[k].float()[None, None], where)[0, 0] > 0.99
        lesion = _warped(self._mask(k, generator), random_warp(1, generator))
        images, target = paint(images, lesion, white, source.level[None], generator)
        present = source.present.clone()
        if present[T1] and not present[T1C] and torch.rand((), generator=generator) < PRETENDED:
            images[:, T1C] = pretended_contrast(images[:, T1], generator)
            present[T1C] = True
        weight = (known | target[0])[None]
        return Bank(stored(images), present[None], target, weight, torch.tensor([k]))

    def _mask(self, k: int, generator: torch.Generator) -> Tensor:
        """(1, 3, X, Y): lesions of a random person at the height of slice `k`.

        Half of them come from the height within 8 mm of it that has the most.
        """
        whose = int(torch.randint(len(self.lesions), (), generator=generator))
        if torch.rand((), generator=generator) < 0.5:
            low, high = max(k - 8, 1), min(k + 9, GRID_SHAPE[2] - 1)
            k = low + int(self.load[whose, low:high].argmax())
        return self.lesions[whose, k - 1 : k + 2].float()[None]


def _warped(images: Tensor, where: Tensor) -> Tensor:
    return F.grid_sample(images, where, align_corners=False)
