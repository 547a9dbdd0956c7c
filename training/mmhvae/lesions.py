"""Lesions in real slices whose place is known, painted alike into every modality.

The training people's own lesions are drawn only where they changed.  What is painted stands
out of white matter as a lesion of multiple sclerosis does: brighter in FLAIR and T2, as
bright or darker in T1; one severity moves all modalities, each with a freedom of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import Tensor
from torch.nn import functional as F

from training.data.grids import MODALITIES
from training.data.multimodal import Visit
from training.mmhvae.simulate import smooth_noise, uniform

T1, FLAIR = MODALITIES.index("T1"), MODALITIES.index("FLAIR")
#: Bounds of a lesion's change in FLAIR, as a share of white matter's intensity.
SEVERITY = (0.12, 0.6)
#: Bounds of the change in each modality over that in FLAIR.
RATIO = {"T1": (-0.8, -0.05), "T1c": (-0.8, -0.05), "T2": (0.3, 2.0), "FLAIR": (1.0, 1.0)}
#: Relative spread of the change among places of one slice.
UNEVEN = 0.3
#: Weights of neighbours by which a lesion's edge fades.
EDGE = (0.25, 0.5, 0.25)
#: Robust standard deviations above white matter's median FLAIR from which a voxel is no
#: white matter to paint into: it may be a lesion of the person's own.
OWN = 2.5
#: Voxels that are eroded from the brain before its tissues are told apart.
RIND = 3


class Brush:
    """Paints lesions of real masks into the white matter of visits.

    Parameters
    ----------
    visits : those that slices are taken from; one without T1 takes its white matter from
        another visit of the same person, or is left as it is where there is none.
    masks : (N, Z, X, Y) lesion masks of patients on the model grid.
    """

    def __init__(self, visits: Sequence[Visit], masks: Tensor) -> None:
        self.masks = masks
        self.load = masks.sum(dim=(2, 3)).float()
        t1 = {v.person: v.images[T1].float().numpy() for v in visits if v.present[T1]}
        self.white = [_white(v, t1.get(v.person)) for v in visits]
        self.level = [
            torch.stack([image[white].float().median() for image in v.images])
            if white.any() else torch.zeros(len(MODALITIES))
            for v, white in zip(visits, self.white, strict=True)
        ]  # fmt: skip

    def wanted(self, k: int, generator: torch.Generator) -> Tensor:
        """(3, X, Y) float: lesions around slice `k` of a patient who has some there.

        A patient is drawn with the chance of the square root of what is there; zeros if
        nobody has any.
        """
        here = self.load[:, k].sqrt()
        if not here.any():
            return torch.zeros(3, *self.masks.shape[2:])
        whose = int(torch.multinomial(here, 1, generator=generator))
        return self.masks[whose, k - 1 : k + 2].float()


def paint(
    images: Tensor, place: Tensor, level: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Slices with lesions, and how much of each voxel is lesion.

    Parameters
    ----------
    images : (n, 4, 3, X, Y) normalised intensity in the order of `MODALITIES`.
    place : (n, 3, X, Y) in [0, 1], white matter where a lesion is wanted.
    level : (n, 4) intensity of white matter; 0 where there is no such modality.

    Returns
    -------
    images : the same shape, new.
    share : (n, X, Y) in [0, 1], of the middle slices.
    """
    n = len(images)
    share = faded(place)
    low, high = torch.tensor([RATIO[m] for m in MODALITIES]).T
    ratio = low + (high - low) * torch.rand((n, len(MODALITIES)), generator=generator)
    change = uniform((n, 1), *SEVERITY, generator) * ratio * level
    x, y = place.shape[2:]
    uneven = (1 + UNEVEN * smooth_noise(n, 24, generator, (x, y))).clamp(0.4, 1.6)
    added = change[:, :, None, None, None] * (share * uneven)[:, None]
    return (images + added).clamp_min(0) * (images > 0), share[:, 1]


def faded(share: Tensor) -> Tensor:
    """(n, k, X, Y) with edges that fade over a voxel in the plane (`EDGE`)."""
    kernel = torch.tensor(EDGE)
    flat = share.flatten(0, 1)[:, None]
    flat = F.conv2d(flat, kernel.view(1, 1, -1, 1), padding=(1, 0))
    return F.conv2d(flat, kernel.view(1, 1, 1, -1), padding=(0, 1))[:, 0].view(share.shape)


def _white(visit: Visit, t1: NDArray[np.float32] | None) -> Tensor:
    """(Z, X, Y) bool: white matter by the T1's intensity, without what may be a lesion.

    Otsu's threshold twice: the first parts fluid from tissue, the second grey matter from
    white.
    """
    mask = visit.mask.numpy()
    inside = ndimage.binary_erosion(mask, iterations=RIND)
    if t1 is None or not inside.any():
        return torch.zeros_like(visit.mask)
    tissue = t1[inside & (t1 > threshold_otsu(t1[inside]))]
    white = ndimage.median_filter((t1 > threshold_otsu(tissue)) & inside, 3)
    flair = visit.images[FLAIR].float().numpy()
    middle = np.median(flair[white])
    spread = 1.4826 * np.median(np.abs(flair[white] - middle))
    return torch.from_numpy(white & (flair <= middle + OWN * spread))
