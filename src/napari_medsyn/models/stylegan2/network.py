"""The StyleGAN2 generator: from latent and labels to styles, from styles to a picture.

Source: Karras et al., CVPR 2020; conditioning and the layout of the parameters as in the
snapshots of Karras et al. 2020 (StyleGAN2-ADA) and 2021, to which it is numerically equal.
Written anew from the papers; see `tests/real/test_stylegan2_reference.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import torch
from torch import Tensor, nn

from napari_medsyn.models.stylegan2.layers import (
    Linear,
    StyledConv,
    ToImage,
    activate,
    binomial_filter,
    doubled,
    unit_second_moment,
)

#: Learning rate of the mapping network relative to the rest (paper, appendix B).
MAPPING_RATE: Final = 0.01

#: Bounds that no published snapshot comes near; a card beyond them is an attack on memory.
_BOUNDS: Final = {
    "z": (1, 4096),
    "c": (0, 1024),
    "w": (1, 4096),
    "resolution": (8, 2048),
    "channels": (1, 16),
    "layers": (1, 16),
    "base": (1, 2**20),
    "most": (1, 4096),
}

Noise = Literal["const", "none"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of a generator.

    Parameters
    ----------
    z, c, w : numbers of the latent, of the labels (0 without any) and of a style.
    resolution : height and width of the picture, a power of two, at least 8.
    channels : of the picture.
    layers : of the mapping network.
    base, most : features at a resolution are base / resolution, at most `most`.
    """

    z: int
    c: int
    w: int
    resolution: int
    channels: int
    layers: int
    base: int = 32768
    most: int = 512

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} {getattr(self, name)} is not within {least} to {most}")
        if self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution {self.resolution} is not a power of two from 8 on")

    @classmethod
    def from_card(cls, architecture: Mapping[str, Any]) -> Layout:
        """The sizes as a card's `architecture` gives them, by the names above.

        Raises
        ------
        ValueError, KeyError, TypeError : one is missing, strange or out of bounds.
        """
        names = ("z", "c", "w", "resolution", "channels", "layers", "base", "most")
        values = {name: architecture[name] for name in names}
        for name, value in values.items():
            if type(value) is not int:
                raise TypeError(f"{name} {value!r} is not a whole number")
        return cls(**values)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, … up to that of the picture."""
        return tuple(2**n for n in range(2, int(math.log2(self.resolution)) + 1))

    @property
    def styles(self) -> int:
        """How many style vectors a picture takes: one for each convolution, one for the end."""
        return 2 * len(self.resolutions)

    def features(self, resolution: int) -> int:
        """Channels of the features at `resolution`."""
        return max(1, min(self.base // resolution, self.most))


class MappingNetwork(nn.Module):
    """From a latent and labels to a style.

    Parameters
    ----------
    layout : sizes.
    """

    w_avg: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        if layout.c:
            self.embed = Linear(layout.c, layout.w)
        self._layers = layout.layers
        inputs = layout.z + (layout.w if layout.c else 0)
        for number in range(layout.layers):
            self.add_module(f"fc{number}", Linear(inputs, layout.w, MAPPING_RATE))
            inputs = layout.w
        self.register_buffer("w_avg", torch.zeros(layout.w))

    def forward(self, z: Tensor, c: Tensor | None, psi: float = 1.0) -> Tensor:
        """Latents (N, z) and labels (N, c) to styles (N, w), truncated by `psi`.

        Truncation: w_avg + psi (w - w_avg); 1 leaves styles as they are, 0 gives the mean.
        """
        x = unit_second_moment(z)
        if c is not None:
            x = torch.cat([x, unit_second_moment(self.embed(c))], dim=1)
        for number in range(self._layers):
            x = activate(self.get_submodule(f"fc{number}")(x))
        return self.w_avg + psi * (x - self.w_avg) if psi != 1 else x


class Block(nn.Module):
    """The features of one resolution, and what they add to the picture.

    Parameters
    ----------
    layout : sizes.
    resolution : of the features; the first block, 4, begins with a constant.
    """

    resample_filter: Tensor

    def __init__(self, layout: Layout, resolution: int) -> None:
        super().__init__()
        own = layout.features(resolution)
        self.is_first = resolution == 4
        if self.is_first:
            self.const = nn.Parameter(torch.randn(own, 4, 4))
        else:
            before = layout.features(resolution // 2)
            self.conv0 = StyledConv(before, own, layout.w, resolution, double=True)
        self.conv1 = StyledConv(own, own, layout.w, resolution)
        self.torgb = ToImage(own, layout.channels, layout.w)
        self.register_buffer("resample_filter", binomial_filter())

    @property
    def convolutions(self) -> int:
        """Style vectors that the features take; the picture takes the next one."""
        return 1 if self.is_first else 2

    def forward(
        self, x: Tensor | None, picture: Tensor | None, styles: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """Features and picture of half the size to those of this size.

        `styles`: (N, convolutions + 1, w).
        """
        each = iter(styles.unbind(dim=1))
        if x is None:
            x = self.const.expand(len(styles), -1, -1, -1)
        else:
            x = self.conv0(x, next(each), _noise(self.conv0, noise))
        x = self.conv1(x, next(each), _noise(self.conv1, noise))
        added = self.torgb(x, next(each))
        return x, added if picture is None else doubled(picture, self.resample_filter) + added


class Synthesis(nn.Module):
    """From styles to a picture.

    Parameters
    ----------
    layout : sizes.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self._resolutions = layout.resolutions
        for resolution in layout.resolutions:
            self.add_module(f"b{resolution}", Block(layout, resolution))

    def blocks(self) -> Iterator[Block]:
        """The blocks from coarse to fine."""
        for resolution in self._resolutions:
            yield cast("Block", self.get_submodule(f"b{resolution}"))

    def forward(self, styles: Tensor, noise: Noise = "const") -> Tensor:
        """Styles (N, layout.styles, w) to pictures (N, channels, H, W), about -1 to 1."""
        x: Tensor | None = None
        picture: Tensor | None = None
        place = 0
        for block in self.blocks():
            own = styles[:, place : place + block.convolutions + 1]
            x, picture = block(x, picture, own, noise)
            place += block.convolutions
        return cast("Tensor", picture)


class Generator(nn.Module):
    """The whole generator.

    Parameters
    ----------
    layout : sizes.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.mapping = MappingNetwork(layout)
        self.synthesis = Synthesis(layout)

    def forward(
        self, z: Tensor, c: Tensor | None = None, psi: float = 1.0, noise: Noise = "const"
    ) -> Tensor:
        """Latents (N, z) and labels (N, c) to pictures (N, channels, H, W), about -1 to 1."""
        w: Tensor = self.mapping(z, c, psi)
        styles = w.unsqueeze(1).expand(-1, self.layout.styles, -1)
        return cast("Tensor", self.synthesis(styles, noise))


def _noise(conv: StyledConv, noise: Noise) -> Tensor | None:
    return conv.noise_const if noise == "const" else None
