"""The covariate judge: T1 to age, sex and ventricular volume.

Tissue shares, smoothed and laid on a coarse grid, are voxel-based morphometry's features
(Ashburner and Friston 2000, NeuroImage 11); age and sex are linear in them.  Intensities
do not enter beyond the tissue network, so that the scanner has little say.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_medsyn.models.judges.judge import Verdict
from napari_medsyn.models.judges.loading import filled, fitting
from napari_medsyn.models.judges.networks import TissueNet, TissueTopology
from napari_medsyn.models.judges.tissue import shares_of, volumes_ml

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy

#: Voxels of the tissue network along each side of one voxel of the features.
COARSE: Final = 3
AGE, MALE, VENTRICLES = "age", "male", "ventricles"


def morphometry(shares: Tensor) -> Tensor:
    """Tissue shares smoothed and on a coarse grid.

    Parameters
    ----------
    shares : (classes, X, Y, Z), 0 outside the brain.

    Returns
    -------
    (classes, ceil(X / 3), ceil(Y / 3), ceil(Z / 3)): means over 3 x 3 x 3 voxels of means
    over 3 x 3 x 3 neighbours.
    """
    smooth = F.avg_pool3d(shares[None], 3, stride=1, padding=1)
    coarse: Tensor = F.avg_pool3d(
        smooth, COARSE, stride=COARSE, ceil_mode=True, count_include_pad=False
    )
    return coarse[0]


class CovariateNet(nn.Module):
    """A tissue network and, on its morphometry, one linear map for age and one for sex.

    `maps` (2, features) are scaled to at most 1, so that half precision holds them.
    """

    maps: Tensor
    scale: Tensor
    offset: Tensor

    def __init__(self, topology: TissueTopology) -> None:
        super().__init__()
        self.tissue = TissueNet(topology)
        cells = math.prod(-(-size // COARSE) for size in topology.shape)
        self.register_buffer("maps", torch.zeros(2, topology.classes * cells))
        self.register_buffer("scale", torch.ones(2))
        self.register_buffer("offset", torch.zeros(2))

    def forward(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Age in years and log odds of being male, from (classes, X, Y, Z) shares."""
        values = self.maps @ morphometry(shares).flatten() * self.scale + self.offset
        return values[0], values[1]


def load(card: ModelCard, weights: Path, device: str) -> CovariateJudge:
    """Build the network that the card describes and fill it, strictly, from safetensors.

    Raises
    ------
    UnusableModel : the weights are not those of the architecture.
    """
    from safetensors.torch import load_file

    with fitting(weights):
        topology = TissueTopology.from_card(card.architecture)
        if card.grid.shape != topology.shape:
            raise ValueError(f"the network's grid is {topology.shape}, not {card.grid.shape}")
        constants = {k: float(v) for k, v in (card.calibration or {}).items()}
        ventricles = int(card.architecture["ventricles_code"]) - 1
        if not 0 <= ventricles < topology.classes:
            raise ValueError(f"no class {ventricles + 1} among {topology.classes}")
        network = filled(lambda: CovariateNet(topology), load_file(weights), device)
    return CovariateJudge(card, network, ventricles, constants)


class CovariateJudge:
    """A loaded `CovariateNet`.

    Parameters
    ----------
    ventricles : class of the ventricles, from 0.
    constants : of the card's calibration: standard deviations of the errors,
        "age_sd" in years, "ventricles_sd" in ml.
    """

    def __init__(
        self,
        card: ModelCard,
        network: CovariateNet,
        ventricles: int,
        constants: dict[str, float],
    ) -> None:
        self.card = card
        self.network = network
        self._ventricles = ventricles
        self._constants = constants

    @torch.inference_mode()
    def read(self, prepared: PreparedStudy) -> Verdict:
        """Brain-predicted age, probability of being male, ventricular volume.

        Raises
        ------
        UnusableStudy : there is no T1.
        """
        shares = shares_of(self.network.tissue, prepared, self.card.name)
        on_device = torch.from_numpy(shares).to(self.network.maps.device)
        age, log_odds = self.network(on_device)
        volumes = volumes_ml(shares, prepared.grid.spacing)
        readings = {
            AGE: float(age),
            MALE: float(torch.sigmoid(log_odds)),
            VENTRICLES: float(volumes[self._ventricles]),
        }
        return Verdict(readings, self._spread())

    def _spread(self) -> dict[str, Any]:
        known = ((AGE, "age_sd"), (VENTRICLES, "ventricles_sd"))
        return {name: self._constants[key] for name, key in known if key in self._constants}
