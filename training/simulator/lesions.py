"""White-matter lesions where patients had them, with a chosen load.

Places come from the masks of patients with multiple sclerosis (Lesjak et al. 2017): where
anybody had lesions, where one or two of them had theirs, and smooth noise.  The voxels of
white matter that score highest become lesion, as many as the load wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from training.data.masks import load_lesion_masks
from training.data.splits import Part
from training.simulator.tissues import CODE
from training.simulator.volumes import Field, Lattice, smooth_noise

#: Tissues that lesions grow in.
HOSTS = tuple(CODE[name] for name in ("white", "stem", "cerebellar white"))
#: Blur of one patient's mask and of the map of all, mm.
OWN_BLUR, COMMON_BLUR = 1.5, 5.0
#: Weights of a score's parts: the chosen patients, the common map, noise of two sizes (mm).
PATIENTS, COMMON, NOISE = 1.0, 0.35, ((3.0, 0.16), (9.0, 0.10))


class LesionPlaces:
    """Where lesions are found, from the masks of some patients.

    Parameters
    ----------
    data : the shared data folder or a packed file.
    parts : of the committed splits.
    """

    def __init__(self, data: Path, parts: Sequence[Part] = ("train",)) -> None:
        masks = load_lesion_masks(data, parts=parts)
        lattice = _lattice_2mm(masks.masks.shape[1:], masks.affine)
        halves = [_halved(mask) for mask in masks.masks]
        own = np.stack([ndimage.gaussian_filter(half, OWN_BLUR / 2) for half in halves])
        common = ndimage.gaussian_filter(np.mean(halves, axis=0), COMMON_BLUR / 2)
        common = common + common[::-1]  # lesions take no side
        self.people, self.volume_ml = masks.person, masks.volume_ml
        self._own = torch.from_numpy(own)
        self._common = Field(torch.from_numpy(common / common.max())[None], lattice)
        self._lattice = lattice

    def draw_load(self, generator: torch.Generator) -> float:
        """A load (ml): one patient's, times a factor between 2/3 and 3/2."""
        whose = int(torch.randint(len(self.volume_ml), (), generator=generator))
        factor: float = 1.5 ** float(2 * torch.rand((), generator=generator) - 1)
        return float(self.volume_ml[whose]) * factor

    def score(
        self, points: Tensor, noise: Tensor, load_ml: float, generator: torch.Generator
    ) -> Tensor:
        """(N,) how likely lesions are at points of an anatomy, in no unit.

        Parameters
        ----------
        points : (N, 3) world in the anatomy, mm.
        noise : (N,) of `score_noise` at the points.
        load_ml : wanted; patients with a similar load are looked at first.
        """
        ratio = torch.log(torch.as_tensor(self.volume_ml) / max(load_ml, 0.1)).abs()
        chosen = torch.multinomial(torch.exp(-ratio), min(2, len(ratio)), generator=generator)
        score = noise + COMMON * self._common.at(points)[0]
        for weight, whose in zip((PATIENTS, 0.6 * PATIENTS), chosen.tolist(), strict=False):
            place = points
            if float(torch.rand((), generator=generator)) < 0.5:
                place = points * torch.tensor([-1.0, 1.0, 1.0])
            place = place + 2.0 * torch.randn(3, generator=generator)
            own = Field(self._own[whose][None], self._lattice)
            score = score + weight * own.at(place)[0]
        return score

    def expected_share(self, lattice: Lattice) -> float:
        """What share of all lesions lies within a slab, on average."""
        everywhere = float(self._common.values.sum()) * self._lattice.voxel_ml
        low = lattice.origin[2] - lattice.spacing / 2
        z = self._lattice.origin[2] + self._lattice.spacing * torch.arange(self._lattice.shape[2])
        at = (z >= low) & (z < low + max(lattice.spacing * lattice.shape[2], 2.0))
        here = float(self._common.values[..., at].sum()) * self._lattice.voxel_ml
        thickness = max(int(at.sum()) * self._lattice.spacing, 1e-6)
        return here / everywhere * lattice.spacing * lattice.shape[2] / thickness


def score_noise(lattice: Lattice, generator: torch.Generator) -> Tensor:
    """(X, Y, Z) what makes the lesions of one head differ from those of another."""
    noise = torch.zeros(lattice.shape)
    for width, size in NOISE:
        noise += size * smooth_noise(lattice, width, generator)[0]
    return noise


def hosts(tissues: Tensor) -> Tensor:
    """(…) bool: the tissues that lesions grow in."""
    return torch.isin(tissues, torch.tensor(HOSTS, dtype=tissues.dtype))


def grow(score: Tensor, voxels: int) -> Tensor:
    """Indices of the `voxels` highest scores (N,); all of them where there are fewer."""
    return torch.topk(score, max(0, min(voxels, len(score))), sorted=False).indices


def _halved(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(X/2, Y/2, Z/2) float32: what share of each 2 mm voxel a 1 mm mask fills."""
    x, y, z = (n // 2 for n in mask.shape)
    blocks = mask[: 2 * x, : 2 * y, : 2 * z].reshape(x, 2, y, 2, z, 2)
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)  # type: ignore[no-any-return]


def _lattice_2mm(shape: tuple[int, ...], affine: NDArray[np.float64]) -> Lattice:
    x, y, z = (n // 2 for n in shape)
    first = affine[:3, 3] + 0.5 * np.diag(affine)[:3]
    return Lattice((x, y, z), (float(first[0]), float(first[1]), float(first[2])), 2.0)
