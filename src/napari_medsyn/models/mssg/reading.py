"""Reading a patient's own covariates off the T1: linear in soft shares of tissue.

T1 to soft shares of fluid, grey and white matter by intensity alone, smoothed and pooled,
then ridge regression: voxel-based morphometry (Ashburner and Friston 2000) without a network.
With a hundred training people it reads unseen ones better than a convolutional network does
(`training/RESULTS.md`); the encoder is for the style.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medsyn.models.mssg.generator import LABELS

#: What the names of its tensors begin with in a package's weights.
PREFIX: Final = "reading."
#: Middle and width of the soft borders fluid | grey and grey | white, normalised intensity.
BORDERS: Final = ((0.50, 0.08), (0.86, 0.05))
#: The same of nothing | brain.
BRAIN: Final = (0.06, 0.015)
#: Voxels of 2 mm along each side of a feature in a package.
POOL: Final = 4
#: The cohort in which nobody has lesions; what a reading says of them there means nothing.
HEALTHY: Final = "ixi"


def features(t1: Tensor, pool: int = POOL) -> Tensor:
    """(N, features) of T1s (N, 1, X, Y, Z), normalised intensity, 2 mm.

    Parameters
    ----------
    pool : voxels along each side of a feature.
    """
    brain = torch.sigmoid((t1 - BRAIN[0]) / BRAIN[1])
    above = [torch.sigmoid((t1 - middle) / width) for middle, width in BORDERS]
    shares = torch.cat([brain - above[0], above[0] - above[1], above[1]], 1)
    smooth = F.avg_pool3d(shares, 3, stride=1, padding=1)
    return F.avg_pool3d(smooth, pool, stride=pool, ceil_mode=True).flatten(1)


class Reading(nn.Module):
    """The linear map; its numbers are fitted by `training.mssg.reading`.

    Parameters
    ----------
    count : features.
    """

    mean: Tensor
    maps: Tensor
    offset: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("maps", torch.zeros(LABELS, count))
        self.register_buffer("offset", torch.zeros(LABELS))

    @classmethod
    def of_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Reading:
        """An empty one of the sizes that tensors (named without `PREFIX`) have.

        Raises
        ------
        KeyError : a tensor is missing.
        """
        return cls(shapes["mean"][0])

    def forward(self, t1: Tensor) -> Tensor:
        """(N, 5) label vectors of T1s (N, 1, X, Y, Z), normalised intensity, 2 mm."""
        return (features(t1) - self.mean) @ self.maps.T + self.offset


def sensible(values: Mapping[str, Any]) -> dict[str, Any]:
    """Covariates as read, without lesions in a cohort where nobody has any."""
    return {**values, "lesions": 0.0} if values.get("cohort") == HEALTHY else dict(values)
