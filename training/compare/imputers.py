"""Models behind one call: a visit, what may be read of it, slices; all modalities back."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.models.mmhvae import MMHVAE
from napari_medsyn.models.mmhvae_family import Encodings, MMHVAEFamily
from training.data.grids import MODALITIES
from training.data.multimodal import Visit

if TYPE_CHECKING:
    import torch
    from torch import nn

Volume = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Imputed:
    """What a model makes of some slices.

    Parameters
    ----------
    mean : modality to (X, Y, n) in normalised intensity, 0 outside the brain.
    std : modality to (X, Y, n), standard deviation in the same unit; None if the model
        gives none.
    """

    mean: Mapping[str, Volume]
    std: Mapping[str, Volume] | None


class Imputer(Protocol):
    """A model as it is used."""

    def __call__(self, visit: Visit, present: Sequence[str], slices: Sequence[int]) -> Imputed:
        """All modalities it can on axial slices of a visit, reading only `present`."""
        ...


class FamilyImputer:
    """An MMHVAE by way of the product's own family.

    Parameters
    ----------
    network : is copied.
    temperature, samples : of the posterior; temperature 0 follows the mean.
    calibration : as on a card; uncalibrated where None.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        temperature: float = 0.5,
        samples: int = 4,
        calibration: Mapping[str, Any] | None = None,
    ) -> None:
        network = copy.deepcopy(network)
        assert isinstance(network, MMHVAE)
        card: Any = SimpleNamespace(calibration=calibration)
        self._family = MMHVAEFamily(card, network, device)
        self._controls = {"temperature": temperature, "samples": samples, "seed": 0}
        self._encodings: Encodings | None = None

    def __call__(self, visit: Visit, present: Sequence[str], slices: Sequence[int]) -> Imputed:
        """Mean and predictive spread of every modality of the network."""
        if self._encodings is None or self._encodings.content != visit.name:
            volumes = {
                m: np.asarray(visit.images[i].permute(1, 2, 0).float())
                for i, m in enumerate(MODALITIES)
            }
            mask = np.asarray(visit.mask.permute(1, 2, 0))
            self._encodings = Encodings(visit.name, volumes, mask)
        controls = {**self._controls, "present": list(present)}
        regions = self._family.plan([], slices, controls)
        parts = [self._family.render(self._encodings, controls, region) for region in regions]
        joined = [
            {m: np.concatenate([getattr(p, kind)[m] for p in parts], axis=2) for m in MODALITIES}
            for kind in ("mean", "std")
        ]
        return Imputed(*joined)
