"""A package's tensors: compared with what the card and the networks expect, then filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import torch
from safetensors import safe_open
from torch import Tensor, nn

from napari_medsyn.models.mssg import encoder as encoding
from napari_medsyn.models.mssg import reading
from napari_medsyn.models.mssg.encoder import Encoder, EncoderSizes
from napari_medsyn.models.mssg.generator import MultiSourceGenerator, Sizes
from napari_medsyn.models.mssg.lattice import SHAPE
from napari_medsyn.models.mssg.packing import SCALE, unpacked
from napari_medsyn.models.mssg.reading import Reading

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard

#: Names of the covariates: those of the label vector, in its order.
COVARIATES: Final = ("age", "sex", "ventricles", "lesions", "cohort")
#: What the generator gives, in the order of its channels.
OUTPUTS: Final = ("T1", "FLAIR")
#: Millimetres between voxels of the generator's grid.
SPACING: Final = 2.0

V = TypeVar("V")


@dataclass(frozen=True, eq=False)
class Networks:
    """What a package holds.

    Parameters
    ----------
    net : the generator.
    encoder : where an inversion begins; None in a package without one.
    reading : what the patient's own covariates are; None in a package without one.
    """

    net: MultiSourceGenerator
    encoder: Encoder | None = None
    reading: Reading | None = None

    def to(self, device: torch.device) -> Networks:
        """All of them on a device, for inference."""
        for part in (self.net, self.encoder, self.reading):
            if part is not None:
                part.to(device).eval().requires_grad_(False)
        return self


def read_networks(card: ModelCard, weights: Path) -> Networks:
    """Build the networks whose sizes the tensors have, and fill them, strictly.

    Names and shapes are compared before anything is allocated.

    Raises
    ------
    KeyError, ValueError, SafetensorError : what is wrong with them.
    """
    with safe_open(weights, framework="pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        networks = _empty({n: s for n, s in shapes.items() if not n.endswith(SCALE)})
        _check(card, networks.net)
        tensors = unpacked({name: file.get_tensor(name) for name in shapes})
    _check_values(tensors)
    own = _without(_without(tensors, encoding.PREFIX), reading.PREFIX)
    networks.net.load_state_dict(own, strict=True, assign=True)
    for part, prefix in _besides(networks):
        part.load_state_dict(_within(tensors, prefix), strict=True, assign=True)
    return networks


def _empty(shapes: Mapping[str, Sequence[int]]) -> Networks:
    """Networks without memory, of the sizes that the tensors have, compared with all of them."""
    of_encoder = _within(shapes, encoding.PREFIX)
    of_reading = _within(shapes, reading.PREFIX)
    with torch.device("meta"):
        net = MultiSourceGenerator(Sizes.from_shapes(shapes), shapes["directions"][0])
        encoder = Encoder(EncoderSizes.from_shapes(of_encoder)) if of_encoder else None
        reader = Reading.of_shapes(of_reading) if of_reading else None
    networks = Networks(net, encoder, reader)
    _compare(net, _without(_without(shapes, encoding.PREFIX), reading.PREFIX), "")
    for part, prefix in _besides(networks):
        _compare(part, _within(shapes, prefix), prefix)
    if encoder is not None and encoder.sizes.w != net.sizes.w:
        raise ValueError(f"the encoder gives styles of {encoder.sizes.w}, not {net.sizes.w}")
    if reader is not None and reader.mean.numel() != _features():
        raise ValueError(f"the reading takes {reader.mean.numel()} features, not {_features()}")
    return networks


def _besides(networks: Networks) -> list[tuple[nn.Module, str]]:
    """The networks beside the generator that there are, with the prefixes of their tensors."""
    parts = [(networks.encoder, encoding.PREFIX), (networks.reading, reading.PREFIX)]
    return [(part, prefix) for part, prefix in parts if part is not None]


def _features() -> int:
    count = 3
    for n in SHAPE:
        count *= -(-n // reading.POOL)
    return count


def _compare(net: nn.Module, shapes: Mapping[str, Sequence[int]], prefix: str) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    for name in sorted(expected.keys() | shapes.keys()):
        if expected.get(name) != shapes.get(name):
            raise ValueError(
                f"{prefix}{name} has shape {shapes.get(name, 'none')}, "
                f"not {expected.get(name, 'none')}"
            )


def _check(card: ModelCard, net: MultiSourceGenerator) -> None:
    """Refuse now what would fail in the middle of a volume."""
    if tuple(card.grid.shape) != SHAPE or set(card.grid.spacing_mm or ()) != {SPACING}:
        raise ValueError(f"people are {SHAPE} voxels of 2 mm, the card's grid is another")
    if set(card.outputs) - set(OUTPUTS) or set(card.inputs) - {"T1"}:
        raise ValueError("the card may read T1 only, and give T1 and FLAIR only")
    if set(card.covariates) - set(COVARIATES):
        raise ValueError(f"the covariates are not among {', '.join(COVARIATES)}")
    for control in card.controls:
        count = len(getattr(control, "directions", ())) if control.name == "directions" else None
        if count not in (None, len(net.directions)):
            raise ValueError(f"the card has {count} directions, the network {len(net.directions)}")


def _check_values(tensors: Mapping[str, Tensor]) -> None:
    """Refuse numbers with which nothing could be computed."""
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} holds values that are not finite")
    brain, voxels = tensors["head.brain"], tensors["head.white"].numel()
    if brain.dtype != torch.bool or int(brain.sum()) != voxels:
        raise ValueError(f"head.brain does not mark the {voxels} voxels of the template")


def _within(named: Mapping[str, V], prefix: str) -> dict[str, V]:
    return {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}


def _without(named: Mapping[str, V], prefix: str) -> dict[str, V]:
    return {k: v for k, v in named.items() if not k.startswith(prefix)}
