"""Features of brains for distances between sets: the deepest ones of the tissue judge.

The network names tissues in three dimensions, was trained on real people only, and is in
nobody's loss.  Its deepest features (48 channels, 8 mm) are averaged over axial slabs of 8 mm
and over the volume, as Inception's are over an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel
from napari_medsyn.evaluation.crops import Masks, Volumes, atlas_of, bfloat16_on, windows

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medsyn.models.judges.networks import TissueNet
    from napari_medsyn.models.judges.tissue import TissueJudge
    from napari_medsyn.registry.card import ModelCard

#: The judge whose network it is.
JUDGE: Final = "judge-tissue-t1"
#: Slabs with a smaller share of brain than this are left out.
LEAST_BRAIN: Final = 0.1


@dataclass(frozen=True, eq=False, slots=True)
class BrainFeatures:
    """Features of N brains.

    Parameters
    ----------
    volume : (N, d) float32, one row a brain.
    slab : (M, d) float32, one row a slab.
    owner : (M,) which brain each slab is of.
    position : (M,) which slab from below each is.
    """

    volume: NDArray[np.float32]
    slab: NDArray[np.float32]
    owner: NDArray[np.intp]
    position: NDArray[np.intp]


class FeatureExtractor:
    """The encoder of the installed tissue judge.

    Parameters
    ----------
    device : "cpu" or "cuda…".

    Raises
    ------
    UnusableModel : the judge is not installed, or its package is damaged.
    """

    def __init__(self, device: str = "cpu") -> None:
        from napari_medsyn.models.families import load_judge
        from napari_medsyn.registry.catalogue import Catalogue

        entry = Catalogue().get(JUDGE, "judge")
        if entry.card is None:
            raise UnusableModel(f"{entry.package}: {JUDGE} has no card; get the package again")
        self.card: ModelCard = entry.card
        self._device = device
        judge = cast("TissueJudge", load_judge(entry.package, entry.card, device))
        self._network: TissueNet = judge.network

    @cached_property
    def name(self) -> str:
        """What was looked at, for tables: judge, version, layer, hash of the weights."""
        digest = self.card.weights.sha256[:8]
        width = self._network.topology.widths[2]
        return f"{JUDGE} {self.card.version}, deepest layer ({width} channels), sha256 {digest}"

    def of(self, volumes: Volumes, brain: Masks | None = None) -> BrainFeatures:
        """Features of crops; the same crops, the same features.

        About 0.14 s a volume on one free core.

        Parameters
        ----------
        volumes : (N, 80, 100, 84) float32, normalised T1, 0 outside the brain.
        brain : (N, 80, 100, 84) bool; `crops.brains_of` the volumes where None.

        Raises
        ------
        ValueError : the volumes are not crops of that shape.
        """
        import torch
        from torch.nn.functional import avg_pool3d

        whole, slabs, owners, positions = [], [], [], []
        with torch.inference_mode():
            for i, (t1, inside) in enumerate(windows(volumes, brain, self._network, self._device)):
                deep = self._deep(t1)
                share = avg_pool3d(inside[None, None], 4)[0, 0].mean(dim=(0, 1))
                kept = torch.nonzero(share >= LEAST_BRAIN)[:, 0]
                by_slab = deep.mean(dim=(1, 2))[:, kept].T
                whole.append(deep.mean(dim=(1, 2, 3)).cpu().numpy())
                slabs.append(by_slab.cpu().numpy())
                positions.append(kept.cpu().numpy())
                owners.append(np.full(len(kept), i))
        return BrainFeatures(
            np.stack(whole),
            np.concatenate(slabs),
            np.concatenate(owners),
            np.concatenate(positions),
        )

    def _deep(self, t1: Tensor) -> Tensor:
        """(d, X / 4, Y / 4, Z / 4) of a window (1, 1, X, Y, Z)."""
        import torch

        network = self._network
        with bfloat16_on(self._device, exact=False):
            half = torch.cat([network.down_1(network.enter(t1)), atlas_of(network)], dim=1)
            deep: Tensor = network.deep(network.down_2(network.join(half)))
        return deep[0].float()
