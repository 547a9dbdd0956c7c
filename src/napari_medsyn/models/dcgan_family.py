"""DCGAN as a family: an image in one pass, its latent and its class in the user's hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.dcgan import DCGANLayout, Generator
from napari_medsyn.models.family import ControlValues
from napari_medsyn.models.latents import latent
from napari_medsyn.models.whole import Images, WholeImageFamily
from napari_medsyn.scans.pictures import to_grid

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard

#: Images of one forward pass: enough to keep the processor busy, little memory.
TOGETHER = 16

#: Controls that the family reads; a card has those it wants.
SEED, LATENT, CLASS, TRUNCATION = "seed", "latent", "class", "truncation"

#: Counts the batches of a training; nothing here reads it, and some files lack it.
_COUNTER = "num_batches_tracked"


def load(card: ModelCard, weights: Path, device: str) -> DCGANFamily:
    """Build the generator that the card describes and fill it, strictly, from safetensors.

    Names and shapes are compared before anything is allocated.

    Raises
    ------
    UnusableModel : the weights are not those of the architecture, or the card's controls
        and grid are not what the generator has.
    """
    try:
        layout = DCGANLayout.from_card(card.architecture, len(card.outputs))
        _check_card(card, layout)
        with torch.device("meta"):
            net = Generator(layout)
        tensors = _read(weights, net)
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UnusableModel(
            f"{weights}: the weights do not fit the card's architecture ({reason}); "
            "correct the card or get the package again"
        ) from error
    # The counters have no tensor here; they keep none.
    net.load_state_dict(tensors, strict=False, assign=True)
    return DCGANFamily(card, net, torch.device(device))


class DCGANFamily(WholeImageFamily):
    """A loaded generator on one device."""

    def __init__(self, card: ModelCard, net: Generator, device: torch.device) -> None:
        super().__init__(card)
        self.layout = net.layout
        self.device = device
        for counter in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
            counter.num_batches_tracked = None
        self.net = net.eval().requires_grad_(False).to(device)
        self._classes = _classes(card)

    @torch.inference_mode()
    def draw(self, controls: Sequence[ControlValues]) -> Sequence[Images]:
        """One set of images for each of `controls`, `TOGETHER` in a forward pass."""
        images: list[Images] = []
        for begin in range(0, len(controls), TOGETHER):
            batch = controls[begin : begin + TOGETHER]
            latents = torch.stack([latent_of(self.layout, values) for values in batch])
            pixels = self.net(latents.to(self.device), self._class_numbers(batch))
            images += [self._named(image) for image in ((pixels + 1) / 2).cpu().numpy()]
        return images

    def _class_numbers(self, batch: Sequence[ControlValues]) -> Tensor | None:
        if not self.layout.classes:
            return None
        numbers = [self._classes[values[CLASS]] for values in batch]
        return torch.tensor(numbers, device=self.device)

    def _named(self, image: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Images:
        """Channels (images, H, W) by the name of the output, on the grid."""
        return {
            name: to_grid(channel) for name, channel in zip(self.card.outputs, image, strict=True)
        }


def latent_of(layout: DCGANLayout, controls: ControlValues) -> Tensor:
    """The latent vector that the controls stand for: drawn, drawn in, and moved.

    Truncation t multiplies what was drawn (the smooth form of the truncation of Brock et
    al. 2019, "Large scale GAN training", section 3.1): less variety, more typical images.
    What the sliders add comes on top of that.

    Returns
    -------
    (latent,) float32 on the CPU.
    """
    seed, offsets = int(controls.get(SEED, 0)), tuple(controls.get(LATENT, ()))
    truncation = float(controls.get(TRUNCATION, 1.0))
    if layout.prior == "normal":
        drawn = latent(seed, layout.latent)
        moved = latent(seed, layout.latent, offsets)
    else:  # `latents` counts from 0 to 1, a DCGAN from -1 to 1
        halves = [offset / 2 for offset in offsets]
        drawn = 2 * latent(seed, layout.latent, prior="uniform") - 1
        moved = 2 * latent(seed, layout.latent, halves, prior="uniform") - 1
    return moved - (1 - truncation) * drawn


def _check_card(card: ModelCard, layout: DCGANLayout) -> None:
    """Refuse now what would fail, or do nothing, when a slider is moved."""
    height, width = layout.size
    if card.grid.shape != (width, height, 1):
        raise ValueError(
            f"the generator makes images of {width} x {height} pixels, so grid.shape must be "
            f"[{width}, {height}, 1]"
        )
    if card.inputs:
        raise ValueError("a DCGAN reads no scan, so inputs must be empty")
    for control in card.controls:
        if control.name == LATENT and control.kind == "latent":
            if len(control.directions) > layout.latent:
                raise ValueError(
                    f"control latent has {len(control.directions)} directions for a latent of "
                    f"{layout.latent} numbers"
                )
        elif control.name not in (SEED, CLASS, TRUNCATION):
            raise ValueError(
                f"control {control.name} of kind {control.kind} is not one of a DCGAN's: "
                f"{SEED}, {LATENT} of kind latent, {CLASS}, {TRUNCATION}"
            )
    if len(_classes(card)) != layout.classes:
        raise ValueError(
            f"the generator tells {layout.classes} classes apart, but the control {CLASS} "
            f"offers {len(_classes(card))}"
        )


def _classes(card: ModelCard) -> Mapping[str | int, int]:
    """Value of the control `class` to the number of the class: its place in the list."""
    for control in card.controls:
        if control.name == CLASS and control.kind == "categorical":
            return {category.value: number for number, category in enumerate(control.categories)}
    return {}


def _read(weights: Path, net: Generator) -> dict[str, Tensor]:
    """The tensors of the file in single precision, if they are those of `net`."""
    wanted = {
        name: list(tensor.shape)
        for name, tensor in net.state_dict().items()
        if not name.endswith(_COUNTER)
    }
    with safe_open(weights, framework="pt") as file:
        there = [name for name in file.keys() if not name.endswith(_COUNTER)]  # noqa: SIM118
        for name in sorted({*wanted, *there}):
            if name not in there:
                raise ValueError(f"{name} is missing")
            if name not in wanted:
                raise ValueError(f"there is no place for {name}")
            shape = file.get_slice(name).get_shape()
            if shape != wanted[name]:
                raise ValueError(f"{name} has the shape {shape}, not {wanted[name]}")
        return {name: file.get_tensor(name).float() for name in wanted}
