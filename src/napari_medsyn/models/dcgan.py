"""The generator of a DCGAN: a latent vector in, an image out.

Radford, Metz and Chintala 2016, "Unsupervised representation learning with deep
convolutional generative adversarial networks", section 3: transposed convolutions with
batch normalisation and ReLU, tanh at the end.  A class is given as in Mirza and Osindero
2014, "Conditional generative adversarial nets", section 3.2: what stands for it is
concatenated to the latent.

Weights are named as in the generator that most people train, `main.0.weight`,
`main.1.running_mean`, …: the state dict of such a training is read as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

#: Sides of an image in pixels.
SMALLEST, LARGEST = 32, 256
#: A generator of this kind has some million weights; a card that asks for more is refused
#: before anything is allocated.
MOST_WEIGHTS = 200_000_000
MOST_LATENT, MOST_CHANNELS, MOST_CLASSES = 4096, 2048, 1000


@dataclass(frozen=True, slots=True)
class DCGANLayout:
    """Sizes of a generator.

    Parameters
    ----------
    latent : numbers of the latent vector, 1 to 4096.
    channels : feature maps after each layer but the last, 2 to 8 of them, coarse to fine.
    start : (height, width) of the first feature maps, in pixels.  Every further layer
        doubles them, so that the image has `start` times 2 to the number of `channels`.
    images : channels of the image.
    classes : how many it tells apart; 0 for none.
    embedding : numbers that stand for a class; 0 gives one number for each class, 1 for
        the class that is meant and 0 for the others.
    prior : "normal", mean 0 and standard deviation 1; "uniform", -1 to 1.
    """

    latent: int
    channels: tuple[int, ...]
    start: tuple[int, int] = (4, 4)
    images: int = 1
    classes: int = 0
    embedding: int = 0
    prior: Literal["normal", "uniform"] = "normal"

    def __post_init__(self) -> None:
        _bounded("latent", self.latent, 1, MOST_LATENT)
        _bounded("number of channels", len(self.channels), 2, 8)
        for count in self.channels:
            _bounded("channels", count, 1, MOST_CHANNELS)
        for side, first in zip(self.size, self.start, strict=True):
            _bounded("start", first, 1, LARGEST)
            _bounded("side of the image", side, SMALLEST, LARGEST)
        _bounded("images", self.images, 1, 16)
        _bounded("classes", self.classes, 0, MOST_CLASSES)
        _bounded("embedding", self.embedding, 0, MOST_LATENT)
        if self.prior not in ("normal", "uniform"):
            raise ValueError(f"prior {self.prior!r} is neither normal nor uniform")
        if self.classes == 1 or (self.embedding and not self.classes):
            raise ValueError("classes must be 0 or at least 2, and an embedding belongs to them")

    @classmethod
    def from_card(cls, architecture: Mapping[str, Any], images: int) -> DCGANLayout:
        """The layout that a card's `architecture` describes.

        Parameters
        ----------
        architecture : `latent` and `channels`, and where they differ from the defaults
            `start`, `classes`, `embedding` and `prior`.
        images : how many outputs the card has; each is a channel of the image.

        Raises
        ------
        ValueError, TypeError : a key is unknown or missing, or a size is out of bounds.
        """
        known = {"latent", "channels", "start", "classes", "embedding", "prior"}
        strange = sorted(set(architecture) - known)
        if strange:
            raise ValueError(f"architecture has no key {strange[0]!r}")
        start = architecture.get("start", [4, 4])
        height, width = _whole_numbers("start", start)
        return cls(
            latent=architecture["latent"],
            channels=_whole_numbers("channels", architecture["channels"]),
            start=(height, width),
            images=images,
            classes=architecture.get("classes", 0),
            embedding=architecture.get("embedding", 0),
            prior=architecture.get("prior", "normal"),
        )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image, in pixels."""
        doubled = 2 ** len(self.channels)
        return self.start[0] * doubled, self.start[1] * doubled

    @property
    def condition(self) -> int:
        """Numbers that stand for the class."""
        return self.embedding or self.classes

    @property
    def weights(self) -> int:
        """Numbers of all convolutions; the rest is little."""
        height, width = self.start
        stem = (self.latent + self.condition) * self.channels[0] * height * width
        pairs = zip(self.channels, (*self.channels[1:], self.images), strict=True)
        return stem + sum(16 * one * other for one, other in pairs)


class Generator(nn.Module):
    """The network; `forward` takes latents of any batch size.

    Parameters
    ----------
    layout : its sizes.

    Raises
    ------
    ValueError : it would have more than `MOST_WEIGHTS` weights.
    """

    def __init__(self, layout: DCGANLayout) -> None:
        super().__init__()
        if layout.weights > MOST_WEIGHTS:
            raise ValueError(
                f"a generator of {layout.weights} weights exceeds the most, {MOST_WEIGHTS}"
            )
        self.layout = layout
        self.embedding = (
            nn.Embedding(layout.classes, layout.embedding) if layout.embedding else None
        )
        width, *further = layout.channels
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(layout.latent + layout.condition, width, layout.start, bias=False)
        ]
        for out in (*further, layout.images):
            layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            layers.append(nn.ConvTranspose2d(width, out, 4, stride=2, padding=1, bias=False))
            width = out
        self.main = nn.Sequential(*layers, nn.Tanh())

    def forward(self, latents: Tensor, classes: Tensor | None = None) -> Tensor:
        """Images of latents.

        Parameters
        ----------
        latents : (n, latent) float.
        classes : (n,) int64, the number of each image's class; only with classes.

        Returns
        -------
        (n, images, height, width), -1 dark to 1 bright.
        """
        given = [latents]
        if self.layout.classes:
            if classes is None:
                raise ValueError("a class must be given")
            meant = one_hot(classes, self.layout.classes).to(latents.dtype)
            given.append(meant if self.embedding is None else self.embedding(classes))
        images: Tensor = self.main(torch.cat(given, dim=1)[:, :, None, None])
        return images


def _bounded(what: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{what} {value!r} is not a whole number from {least} to {most}")


def _whole_numbers(what: str, values: Any) -> tuple[int, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(n, int) for n in values):
        raise ValueError(f"{what} {values!r} is not a list of whole numbers")
    return tuple(values)
