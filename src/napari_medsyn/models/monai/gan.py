"""MONAI's `Generator`: a latent vector in, an image out, in one pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.family import ControlValues
from napari_medsyn.models.latents import Prior, latent
from napari_medsyn.models.monai.axes import check_orientation, ras_shape, to_ras
from napari_medsyn.models.monai.networks import first, read_networks
from napari_medsyn.models.whole import Images, WholeImageFamily

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard

#: Control that moves the latent's numbers; the card decides how many have a slider.
LATENT: Final = "latent"


def load(card: ModelCard, weights: Path, device: str) -> MonaiGAN:
    """Build the generator that the card describes and fill it.

    Raises
    ------
    UnusableModel : card and weights do not fit each other, or MONAI is not installed.
    """
    described = card.architecture.get("generator")
    if not isinstance(described, dict):
        raise UnusableModel(f"{card.id}: the card's architecture describes no generator")
    nets = read_networks({"generator": described}, weights, device)
    try:
        return MonaiGAN(card, nets["generator"], torch.device(device))
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableModel(f"{card.id}: {first(error)}") from error


class MonaiGAN(WholeImageFamily):
    """A loaded generator on one device.

    Parameters
    ----------
    card : its architecture says, besides the network: `prior` ("normal" or "uniform"),
        `sigmoid` (whether the output goes through one), `output_range` (what of the output
        is dark and bright) and `orientation` (where the tensor's axes point).
    net : MONAI's generator.
    """

    def __init__(self, card: ModelCard, net: nn.Module, device: torch.device) -> None:
        super().__init__(card)
        self.net = net
        self.device = device
        said: dict[str, Any] = card.architecture
        shape = said["generator"]["latent_shape"]
        self._shape = tuple(shape) if isinstance(shape, list) else (shape,)
        self._prior: Prior = "uniform" if said.get("prior") == "uniform" else "normal"
        self._sigmoid = said.get("sigmoid") is True
        self._range = output_range(said)
        self._orientation = check_orientation(said.get("orientation", "LPS"))
        self._check()

    @torch.inference_mode()
    def draw(self, controls: Sequence[ControlValues]) -> list[Images]:
        """One set of images for each of `controls`, in one batch."""
        z = torch.stack([self._latent(values) for values in controls])
        return [self._images(image) for image in self.outputs(z)]

    def outputs(self, z: Tensor) -> Tensor:
        """(n, C, …) of what the network makes of latents (n, …), its sigmoid included."""
        out: Tensor = self.net(z.to(self.device))
        return out.sigmoid() if self._sigmoid else out

    def _latent(self, controls: ControlValues) -> Tensor:
        offsets = tuple(controls.get(LATENT) or ())
        size = math.prod(self._shape)
        z = latent(int(controls.get("seed", 0)), size, offsets, self._prior)
        return z.reshape(self._shape)

    def _images(self, image: Tensor) -> Images:
        dark, bright = self._range
        unit = ((image.float() - dark) / (bright - dark)).clamp(0, 1).cpu().numpy()
        return {
            name: to_ras(plane, self._orientation)
            for name, plane in zip(self.card.outputs, unit, strict=True)
        }

    def _check(self) -> None:
        """Refuse now what would fail at the first image."""
        said = self.card.architecture["generator"]
        sides = said["start_shape"][1:]
        grown = tuple(side * math.prod(said["strides"]) for side in sides)
        made = ras_shape(grown, self._orientation)
        if made != self.card.grid.shape:
            raise ValueError(
                f"the network makes {made} voxels, the card says {self.card.grid.shape}"
            )
        if said["channels"][-1] != len(self.card.outputs):
            raise ValueError(
                f"the network gives {said['channels'][-1]} images, the card names "
                f"{len(self.card.outputs)}"
            )
        size = math.prod(self._shape)
        for control in self.card.controls:
            if control.name == LATENT and (
                control.kind != "latent" or len(control.directions) > size
            ):
                raise ValueError(
                    f"control {LATENT} must be of kind latent with at most {size} directions, the "
                    "numbers of the latent"
                )


def output_range(said: dict[str, Any]) -> tuple[float, float]:
    """What of a network's output is dark and what is bright.

    Raises
    ------
    ValueError : the card's `output_range` is not two rising numbers.
    """
    low, high = said.get("output_range", (0.0, 1.0))
    if not float(low) < float(high):
        raise ValueError(f"output_range {low} to {high} does not rise")
    return float(low), float(high)
