"""MONAI's diffusion models: noise is cleaned step by step, in pixels or in a latent space.

Ho et al. 2020 (DDPM), Song et al. 2021 (DDIM), Rombach et al. 2022 (latent diffusion); for
the brain, Pinaya et al. 2022.  Each step is one short region without slices, so that whoever
moves a slider waits for one step at most; what was computed for the same controls is kept.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.family import ControlValues, Region, Rendered
from napari_medsyn.models.monai.axes import check_orientation, ras_shape, to_ras
from napari_medsyn.models.monai.gan import output_range
from napari_medsyn.models.monai.networks import MISFITS, first, read_networks
from napari_medsyn.models.monai.sampling import Denoising, Schedule
from napari_medsyn.registry.importers.monai_bundle_description import Noise
from napari_medsyn.registry.importers.monai_bundle_parts import Kind, scheduler_arguments

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy

DECODING: Final = "Decoding"
#: Kinds of control whose values are numbers, categories with numbers as values included.
_NUMBERS: Final = ("continuous", "integer", "boolean", "categorical")


def load(card: ModelCard, weights: Path, device: str) -> MonaiDiffusion:
    """Build the networks that the card describes and fill them.

    Raises
    ------
    UnusableModel : card and weights do not fit each other, or MONAI is not installed.
    """
    try:
        plan = Plan.from_card(card)
    except MISFITS as error:
        raise UnusableModel(
            f"{card.id}: the card does not describe a diffusion ({first(error)})"
        ) from error
    kinds: tuple[Kind, ...] = ("unet", "autoencoder")
    described = {kind: card.architecture[kind] for kind in kinds if kind in card.architecture}
    nets = read_networks(described, weights, device)
    return MonaiDiffusion(card, plan, nets, torch.device(device))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a card says of its diffusion besides the networks.

    Parameters
    ----------
    schedule : how it is sampled.
    steps : how many steps, unless the control says.
    shape : (C, …) of the noise.
    noise : "normal" or "uniform".
    covariates : names of the controls that condition the network, in its order.
    concatenated : whether they are given as channels, too.
    scale_factor : the latent is divided by it before it is decoded.
    output_range : what of the output is dark and bright.
    orientation : where the output's axes point.
    """

    schedule: Schedule
    steps: int
    shape: tuple[int, ...]
    noise: Noise
    covariates: tuple[str, ...]
    concatenated: bool
    scale_factor: float
    output_range: tuple[float, float]
    orientation: str

    @classmethod
    def from_card(cls, card: ModelCard) -> Plan:
        """Read and check a card's `architecture`.

        Raises
        ------
        ValueError, KeyError, TypeError : something is missing or of the wrong kind.
        """
        said = card.architecture
        told = said["scheduler"]
        schedule = Schedule(
            told["sampler"],
            scheduler_arguments(told["sampler"], told["arguments"]),
            "leading" if told["spacing"] == "leading" else "even",
        )
        unet = said["unet"]
        plan = cls(
            schedule=schedule,
            steps=int(told["steps"]),
            shape=tuple(int(size) for size in said["noise"]["shape"]),
            noise="uniform" if said["noise"].get("prior") == "uniform" else "normal",
            covariates=tuple(said.get("covariates", ())),
            concatenated=int(unet["in_channels"]) > int(said["noise"]["shape"][0]),
            scale_factor=float(said.get("scale_factor", 1.0)),
            output_range=output_range(said),
            orientation=check_orientation(said.get("orientation", "RAS")),
        )
        plan.check(card)
        return plan

    def check(self, card: ModelCard) -> None:
        """Refuse now what would fail after the last step."""
        unet = card.architecture["unet"]
        if card.inputs:
            raise ValueError("it reads no scan, so inputs must be empty and min_inputs 0")
        self._check_controls(card)
        if len(self.shape) != unet["spatial_dims"] + 1 or min(self.shape) < 1:
            raise ValueError(f"noise of shape {self.shape} does not fit the network")
        halved = 2 ** (len(unet["channels"]) - 1)
        if any(side % halved for side in self.shape[1:]):
            raise ValueError(f"the network needs sides that are multiples of {halved}")
        beside = len(self.covariates) if self.concatenated else 0
        if unet["in_channels"] != self.shape[0] + beside:
            raise ValueError(f"the network reads {unet['in_channels']} channels")
        if self.scale_factor <= 0 or not 1 <= self.steps <= self.schedule.trained:
            raise ValueError("scale_factor and steps must be positive")
        self._check_channels(card)
        made = ras_shape(self.image_shape(card.architecture), self.orientation)
        if made != card.grid.shape:
            raise ValueError(f"the network makes {made} voxels, the card says {card.grid.shape}")

    def _check_controls(self, card: ModelCard) -> None:
        known = {control.name: control for control in card.controls}
        for name in self.covariates:
            if name not in known:
                raise ValueError(f"the card has no control {name}")
            control = known[name]
            values = [category.value for category in getattr(control, "categories", ())]
            if control.kind not in _NUMBERS or any(isinstance(value, str) for value in values):
                raise ValueError(f"control {name} gives no numbers, which a covariate has to be")
        steps = known.get("steps")
        if steps is not None and (steps.kind != "integer" or steps.minimum < 1):
            raise ValueError("control steps must be an integer from 1")
        if getattr(steps, "maximum", 0) > self.schedule.trained:
            raise ValueError(f"steps may not exceed {self.schedule.trained}")

    def _check_channels(self, card: ModelCard) -> None:
        channels, images = self.shape[0], card.architecture["unet"]["out_channels"]
        if images != channels:
            raise ValueError(f"the network gives {images} channels for noise of {channels}")
        if "autoencoder" in card.architecture:
            autoencoder = card.architecture["autoencoder"]
            if autoencoder["latent_channels"] != channels:
                raise ValueError(
                    f"the autoencoder reads {autoencoder['latent_channels']} channels, the noise "
                    f"has {channels}"
                )
            images = autoencoder.get("out_channels", 1)
        if images != len(card.outputs):
            raise ValueError(
                f"the network gives {images} images, the card names {len(card.outputs)}"
            )

    def image_shape(self, said: Mapping[str, Any]) -> tuple[int, ...]:
        """Sides of the decoded image along the tensor's axes."""
        grown = 2 ** (len(said["autoencoder"]["channels"]) - 1) if "autoencoder" in said else 1
        return tuple(side * grown for side in self.shape[1:])


class Making:
    """One image in the making, for one choice of the controls.

    Parameters
    ----------
    key : the values that decide about it.
    """

    def __init__(self, key: Hashable, denoising: Denoising) -> None:
        self.key = key
        self.denoising = denoising
        self.images: Mapping[str, NDArray[np.float32]] | None = None


class MonaiDiffusion:
    """A loaded diffusion model on one device."""

    def __init__(
        self, card: ModelCard, plan: Plan, nets: Mapping[Kind, nn.Module], device: torch.device
    ) -> None:
        self.card = card
        self.device = device
        self._plan = plan
        self._unet = nets["unet"]
        self._autoencoder: Any = nets.get("autoencoder")
        self._making: Making | None = None

    def condition(self, study: PreparedStudy | None, controls: ControlValues) -> Making:
        """The image in the making for these controls, the last one if it is the same."""
        del study
        key = self._key(controls)
        if self._making is None or self._making.key != key:
            self._making = Making(key, self._begin(controls))
        return self._making

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: ControlValues
    ) -> list[Region]:
        """A region for each step that is left, one to decode, and one that gives the slices."""
        del first
        making = self._making
        is_known = making is not None and making.key == self._key(controls)
        if making is not None and is_known and making.images is not None:
            return [Region(tuple(slices))]
        done = making.denoising.done if making is not None and is_known else 0
        total = self._steps(controls)
        steps = [Region((), f"Denoising {k + 1} of {total}") for k in range(done, total)]
        return [*steps, Region((), DECODING), Region(tuple(slices), DECODING)]

    def render(self, conditioning: Making, controls: ControlValues, region: Region) -> Rendered:
        """Take one step, or decode; for slices do all that is left and cut them out."""
        if conditioning.key != self._key(controls):
            conditioning = self.condition(None, controls)
        if not region.slices:
            self._advance(conditioning)
            return Rendered(region, {})
        while conditioning.images is None:
            self._advance(conditioning)
        chosen = list(region.slices)
        return Rendered(
            region, {name: image[:, :, chosen] for name, image in conditioning.images.items()}
        )

    def _advance(self, making: Making) -> None:
        """The next step, or the decoding after the last."""
        if making.denoising.done < making.denoising.steps:
            making.denoising.step()
        elif making.images is None:
            making.images = self._images(self.decode(making.denoising.latent))

    @torch.inference_mode()
    def decode(self, latent: Tensor) -> Tensor:
        """The image (1, C, …) of a clean latent (1, C, …).

        The whole of it at once: the decoder's group normalisation takes its statistics over
        all voxels, so that tiles would not give the same image.
        """
        if self._autoencoder is None:
            return latent
        scaled = latent.to(self.device) / self._plan.scale_factor
        image: Tensor = self._autoencoder.decode_stage_2_outputs(scaled)
        return image.float().cpu()

    def output_of(
        self, noise: Tensor, steps: int | None = None, covariates: tuple[float, ...] | None = None
    ) -> Tensor | None:
        """What is made of given noise (1, C, …), before it is brought to 0 to 1.

        Parameters
        ----------
        steps, covariates : None for the card's defaults.

        Returns
        -------
        (1, C, …) float32, or None where noise is added at each step, so that none could be
        compared with another program's.
        """
        values: dict[str, Any] = {
            control.name: getattr(control, "default", None) for control in self.card.controls
        }
        if covariates is not None:
            values |= dict(zip(self._plan.covariates, covariates, strict=True))
        values["steps"] = steps or self._plan.steps
        if self._plan.schedule.is_ancestral(values["steps"]):
            return None
        denoising = self._begin(values)
        if noise.shape != denoising.latent.shape:
            raise ValueError(f"noise of shape {tuple(noise.shape)} does not fit")
        denoising.latent = noise
        while denoising.done < denoising.steps:
            denoising.step()
        return self.decode(denoising.latent)

    def _images(self, image: Tensor) -> dict[str, NDArray[np.float32]]:
        dark, bright = self._plan.output_range
        unit = ((image[0] - dark) / (bright - dark)).clamp(0, 1).numpy()
        return {
            name: to_ras(plane, self._plan.orientation)
            for name, plane in zip(self.card.outputs, unit, strict=True)
        }

    def _begin(self, controls: ControlValues) -> Denoising:
        return Denoising(
            unet=self._unet,
            schedule=self._plan.schedule,
            steps=self._steps(controls),
            shape=self._plan.shape,
            noise=self._plan.noise,
            seed=int(controls.get("seed", 0)),
            covariates=tuple(float(controls[name]) for name in self._plan.covariates),
            concatenated=self._plan.concatenated,
            device=self.device,
        )

    def _steps(self, controls: ControlValues) -> int:
        return int(controls.get("steps", self._plan.steps))

    def _key(self, controls: ControlValues) -> Hashable:
        read = ("seed", *self._plan.covariates)
        return (self._steps(controls), *(controls.get(name) for name in read))
