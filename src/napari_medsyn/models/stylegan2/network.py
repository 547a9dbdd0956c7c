"""The StyleGAN2 generator: from latent and labels to styles, from styles to a picture.

Source: Karras et al., CVPR 2020; conditioning and the layout of the parameters as in the
snapshots of Karras et al. 2020 (StyleGAN2-ADA) and 2021, to which it is numerically equal.
Written anew from the papers; see `tests/real/test_stylegan2_reference.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

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

Noise = Literal["const", "none"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of a generator.

    Parameters
    ----------
    z, c, w : numbers of the latent, of the labels (0 without any) and of a style.
    channels : of the picture.
    layers : of the mapping network.
    features : channels at 4, 8, … pixels, up to the height and width of the picture.
    rate : learning rate of the mapping network relative to the rest.
    clamp : features are kept within ±clamp; None for no bound.
    """

    z: int
    c: int
    w: int
    channels: int
    layers: int
    features: tuple[int, ...]
    rate: float = MAPPING_RATE
    clamp: float | None = None

    @classmethod
    def from_shapes(
        cls,
        shapes: Mapping[str, Sequence[int]],
        *,
        rate: float = MAPPING_RATE,
        clamp: float | None = None,
    ) -> Layout:
        """The sizes that the tensors of a snapshot have.

        Parameters
        ----------
        shapes : name of a parameter or buffer to its shape.

        Raises
        ------
        KeyError : a tensor is missing that every such generator has.
        """
        resolutions = [4]
        while f"synthesis.b{2 * resolutions[-1]}.conv1.bias" in shapes:
            resolutions.append(2 * resolutions[-1])
        layers = 0
        while f"mapping.fc{layers}.weight" in shapes:
            layers += 1
        w, inputs = shapes["mapping.fc0.weight"]
        c = shapes["mapping.embed.weight"][1] if "mapping.embed.weight" in shapes else 0
        return cls(
            z=inputs - (w if c else 0),
            c=c,
            w=w,
            channels=shapes["synthesis.b4.torgb.bias"][0],
            layers=layers,
            features=tuple(shapes[f"synthesis.b{r}.conv1.bias"][0] for r in resolutions),
            rate=rate,
            clamp=clamp,
        )

    @property
    def resolution(self) -> int:
        """Height and width of the picture."""
        return self.resolutions[-1]

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, … up to that of the picture."""
        return tuple(4 * 2**n for n in range(len(self.features)))

    @property
    def styles(self) -> int:
        """How many style vectors a picture takes: one for each convolution, one for the end."""
        return 2 * len(self.features)


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
            self.add_module(f"fc{number}", Linear(inputs, layout.w, layout.rate))
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
    number : of the block; the first one, 0, begins with a constant.
    """

    resample_filter: Tensor

    def __init__(self, layout: Layout, number: int) -> None:
        super().__init__()
        own, resolution = layout.features[number], layout.resolutions[number]
        self.is_first = number == 0
        if self.is_first:
            self.const = nn.Parameter(torch.randn(own, 4, 4))
        else:
            before = layout.features[number - 1]
            sizes = (before, own, layout.w, resolution)
            self.conv0 = StyledConv(*sizes, double=True, clamp=layout.clamp)
        self.conv1 = StyledConv(own, own, layout.w, resolution, clamp=layout.clamp)
        self.torgb = ToImage(own, layout.channels, layout.w, clamp=layout.clamp)
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
        for number, resolution in enumerate(layout.resolutions):
            self.add_module(f"b{resolution}", Block(layout, number))

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
