"""StyleGAN2 as a family: a picture from seed, labels and truncation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.family import ControlValues
from napari_medsyn.models.latents import latent
from napari_medsyn.models.stylegan2.network import MAPPING_RATE, Generator, Layout
from napari_medsyn.models.whole import Images, WholeImageFamily
from napari_medsyn.scans.pictures import to_grid

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard

SEED, TRUNCATION = "seed", "truncation"

#: Pictures of one forward pass.
TOGETHER: Final = 8

#: Brightness of a colour by ITU-R BT.601: red, green, blue.
_BRIGHTNESS: Final = (0.299, 0.587, 0.114)

#: Plain facts of a snapshot that change what is computed, with the one value that is read.
_ONLY: Final = {"architecture": "skip", "use_noise": True}


def load(card: ModelCard, weights: Path, device: str) -> StyleGAN2Family:
    """Build the generator whose sizes the tensors have, and fill it, strictly.

    Names and shapes are compared before anything is allocated.

    Raises
    ------
    UnusableModel : the tensors are not those of such a generator, or card and generator
        contradict each other.
    """
    try:
        settings = _settings(card.architecture)
        with safe_open(weights, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            layout = Layout.from_shapes(shapes, **settings)
            _check(card, layout)
            with torch.device("meta"):
                net = Generator(layout)
            _compare(net, shapes)
            tensors = {name: file.get_tensor(name).float() for name in shapes}
    except (KeyError, TypeError, ValueError, ArithmeticError, SafetensorError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UnusableModel(
            f"{weights}: cannot be run as StyleGAN2 ({reason}); correct the card or import the "
            "snapshot again"
        ) from error
    net.load_state_dict(tensors, strict=True, assign=True)
    return StyleGAN2Family(card, net, torch.device(device))


class StyleGAN2Family(WholeImageFamily):
    """A loaded generator; see `WholeImageFamily` for the contract.

    Parameters
    ----------
    card : of the model; `architecture.labels` says how controls become the label vector.
    net : filled.
    device : where it computes.
    """

    def __init__(self, card: ModelCard, net: Generator, device: torch.device) -> None:
        super().__init__(card)
        self.net = net.to(device).eval().requires_grad_(False)
        self._device = device
        self._labels: Sequence[Mapping[str, Any]] = card.architecture.get("labels", ())

    @torch.inference_mode()
    def draw(self, controls: Sequence[ControlValues]) -> Sequence[Images]:
        """One picture for each of `controls`, 0 to 1; colours are given as their brightness."""
        drawn: list[Images] = []
        for start in range(0, len(controls), TOGETHER):
            batch = controls[start : start + TOGETHER]
            for picture in self._pictures(batch).cpu().numpy():
                drawn.append({self.card.outputs[0]: to_grid(picture)})
        return drawn

    def _pictures(self, batch: Sequence[ControlValues]) -> Tensor:
        """(N, H, W), 0 to 1."""
        size = self.net.layout.z
        z = torch.stack([latent(int(values.get(SEED, 0)), size) for values in batch])
        styles = torch.stack([self._style(*pair) for pair in zip(z, batch, strict=True)])
        made: Tensor = self.net.synthesis(styles)
        grey = made[:, 0]
        if made.shape[1] == len(_BRIGHTNESS):
            grey = torch.tensordot(made, made.new_tensor(_BRIGHTNESS), dims=([1], [0]))
        return ((grey + 1) / 2).clamp(0, 1)

    def _style(self, z: Tensor, values: ControlValues) -> Tensor:
        """(styles, w) of one picture."""
        labels = label_vector(self._labels, values)
        c = torch.tensor([labels], device=self._device) if labels else None
        psi = float(values.get(TRUNCATION, 1.0))
        w: Tensor = self.net.mapping(z.unsqueeze(0).to(self._device), c, psi)
        return w.expand(self.net.layout.styles, -1)


def label_vector(labels: Sequence[Mapping[str, Any]], values: ControlValues) -> list[float]:
    """The network's label vector for the values of the controls.

    Parameters
    ----------
    labels : as the importer writes them: "number" with an optional `normalise`, "one-hot"
        with its `values` in the order of their places.

    Raises
    ------
    KeyError, ValueError : a label has no value, or one that is not among its choices.
    """
    vector: list[float] = []
    for label in labels:
        value = values[label["name"]]
        if label["kind"] == "one-hot":
            place = list(label["values"]).index(value)
            vector += [float(number == place) for number in range(len(label["values"]))]
        else:
            vector.append(_normalised(float(value), label.get("normalise") or {}))
    return vector


def _normalised(value: float, rule: Mapping[str, Any]) -> float:
    """(f(value + add) - subtract) / divide_by, f the natural logarithm if `log`."""
    shifted = value + rule.get("add", 0.0)
    if rule.get("log"):
        shifted = math.log(shifted)
    return float((shifted - rule.get("subtract", 0.0)) / rule.get("divide_by", 1.0))


def _settings(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """What the tensors do not tell: learning rate of the mapping, bound of the features."""
    mapping = architecture.get("mapping_kwargs") or {}
    synthesis = architecture.get("synthesis_kwargs") or {}
    for name, known in _ONLY.items():
        if synthesis.get(name, known) != known:
            raise ValueError(f"{name} {synthesis[name]!r} cannot be run, only {known!r}")
    clamp = synthesis.get("conv_clamp")
    return {
        "rate": float(mapping.get("lr_multiplier", MAPPING_RATE)),
        "clamp": None if clamp is None else float(clamp),
    }


def _check(card: ModelCard, layout: Layout) -> None:
    side = layout.resolution
    if card.grid.shape != (side, side, 1):
        raise ValueError(f"pictures are {side} × {side}, the card's grid is {card.grid.shape}")
    if len(card.outputs) != 1 or layout.channels not in (1, len(_BRIGHTNESS)):
        raise ValueError(f"{layout.channels} channels for {len(card.outputs)} outputs")
    labels = card.architecture.get("labels", ())
    # A label that is the logarithm of 0 at one end of its slider is refused now, not there.
    for end in ("default", "minimum", "maximum"):
        values = {
            control.name: getattr(control, end, getattr(control, "default", None))
            for control in card.controls
        }
        vector = label_vector(labels, values)
        if len(vector) != layout.c:
            raise ValueError(
                f"the card describes {len(vector)} labels, the network reads {layout.c}"
            )
    places = {label["name"]: label["values"] for label in labels if label["kind"] == "one-hot"}
    for control in card.controls:
        for category in getattr(control, "categories", ()):
            if category.value not in places.get(control.name, (category.value,)):
                raise ValueError(f"{control.name} {category.value} has no place among the labels")


def _compare(net: Generator, shapes: Mapping[str, Sequence[int]]) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    for name in sorted(expected.keys() | shapes.keys()):
        if expected.get(name) != shapes.get(name):
            raise ValueError(
                f"{name} has shape {shapes.get(name, 'none')}, not {expected.get(name, 'none')}"
            )
