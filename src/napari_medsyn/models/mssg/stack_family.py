"""MSSG-mini as a family: people of nobody as stacks of pictures, any slice at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.family import ControlValues, Region, Rendered
from napari_medsyn.models.latents import latent
from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.stack import COVARIATES, LABELS, positions, stack
from napari_medsyn.models.stylegan2.network import MAPPING_RATE, Generator, Layout

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy

SEED, TRUNCATION = "seed", "truncation"

#: Slices of one forward pass after those on screen.
TOGETHER: Final = 20


def load(card: ModelCard, weights: Path, device: str) -> StackFamily:
    """Build the generator whose sizes the tensors have, and fill it, strictly.

    Names and shapes are compared before anything is allocated.

    Raises
    ------
    UnusableModel : the tensors are not those of such a generator, or card and generator
        contradict each other.
    """
    try:
        labels = LabelModel.from_json(card.label_model or {})
        rate = float(card.architecture.get("mapping_rate", MAPPING_RATE))
        with safe_open(weights, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            layout = Layout.from_shapes(shapes, rate=rate)
            _check(card, layout, labels)
            with torch.device("meta"):
                net = Generator(layout)
            _compare(net, shapes)
            tensors = {name: file.get_tensor(name).float() for name in shapes}
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise ValueError(f"{name} has values that are not finite")
    except (KeyError, TypeError, ValueError, ArithmeticError, SafetensorError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UnusableModel(
            f"{weights}: cannot be run as MSSG stack ({reason.rstrip('.')}); get the package again"
        ) from error
    net.load_state_dict(tensors, strict=True, assign=True)
    return StackFamily(card, net, labels, torch.device(device))


@dataclass(frozen=True, eq=False)
class Person:
    """Whom all slices show: latent (z,) and encoded covariates (COVARIATES,)."""

    z: Tensor
    covariates: Tensor


class StackFamily:
    """A loaded generator on one device.

    Parameters
    ----------
    card : of the model.
    net : filled.
    labels : how covariates go together, and how the network reads them.
    device : where it computes.
    """

    def __init__(
        self, card: ModelCard, net: Generator, labels: LabelModel, device: torch.device
    ) -> None:
        self.card = card
        self.net = net.to(device).eval().requires_grad_(False)
        self._labels = labels
        self._device = device

    def condition(self, study: PreparedStudy | None, controls: ControlValues) -> None:
        """Nothing: no scan is read, and a person is a few numbers."""
        del study, controls

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: ControlValues
    ) -> list[Region]:
        """What is on screen, then slabs outwards."""
        del controls
        middle = float(np.mean(first)) if len(first) else 0.0
        rest = sorted(set(slices) - set(first), key=lambda k: (abs(k - middle), k))
        slabs = [rest[i : i + TOGETHER] for i in range(0, len(rest), TOGETHER)]
        return [Region(tuple(slab)) for slab in (first, *slabs) if len(slab)]

    def render(self, conditioning: None, controls: ControlValues, region: Region) -> Rendered:
        """The region's slices of the person that the controls describe, and no others."""
        del conditioning
        person = self._person(controls)
        numbers = torch.tensor(region.slices, dtype=torch.float32, device=self._device)
        where = positions(numbers, self.card.grid.shape[2])
        psi = float(controls.get(TRUNCATION, 1.0))
        made = stack(self.net, person.z, person.covariates, where, psi)
        image = np.ascontiguousarray(made.permute(1, 2, 0).cpu().numpy())
        return Rendered(region, {self.card.outputs[0]: image})

    def _person(self, controls: ControlValues) -> Person:
        """The person of the seed, who also decides what is not known of the covariates."""
        seed = int(controls.get(SEED, 0))
        stated = {name: controls.get(name) for name in self._labels.names}
        values = self._labels.complete(stated, np.random.default_rng(seed))
        encoded = np.asarray(self._labels.encode(values), np.float32)
        z = latent(seed, self.net.layout.z)
        return Person(z.to(self._device), torch.from_numpy(encoded).to(self._device))


def _check(card: ModelCard, layout: Layout, labels: LabelModel) -> None:
    if card.inputs:
        raise ValueError("it reads no scan, so the card's inputs must be empty")
    side, count = layout.resolution, card.grid.shape[2]
    if card.grid.shape[:2] != (side, side) or count < 2:
        raise ValueError(f"pictures are {side} × {side}, the card's grid is {card.grid.shape}")
    if len(card.outputs) != 1 or layout.channels != 1:
        raise ValueError(f"{layout.channels} channels for {len(card.outputs)} outputs")
    if layout.c != LABELS:
        raise ValueError(f"the network reads {layout.c} labels, a stack gives it {LABELS}")
    if len(labels.names) != COVARIATES:
        raise ValueError(f"the label model has {len(labels.names)} covariates, not {COVARIATES}")


def _compare(net: Generator, shapes: Mapping[str, Sequence[Any]]) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    for name in sorted(expected.keys() | shapes.keys()):
        if expected.get(name) != shapes.get(name):
            raise ValueError(
                f"{name} has shape {shapes.get(name, 'none')}, not {expected.get(name, 'none')}"
            )
