"""A first guess of a patient's style and covariates, in one forward pass.

An inversion that starts near its end needs few steps (in-domain encoders: Zhu et al., ECCV
2020).  The network sees the T1 on the 4 mm lattice, where a pass takes a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medsyn.models.mssg.generator import LABELS
from napari_medsyn.models.mssg.lattice import LATTICE

#: What the names of the encoder's tensors begin with in a package's weights.
PREFIX: Final = "encoder."
#: Channels of a group that is normalised together.
TOGETHER: Final = 8


@dataclass(frozen=True, slots=True)
class EncoderSizes:
    """Sizes of an encoder: channels of its convolutions, of the layer after them, of w."""

    widths: tuple[int, ...]
    hidden: int
    w: int

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> EncoderSizes:
        """The sizes that tensors (named without `PREFIX`) have.

        Raises
        ------
        KeyError : a tensor is missing that every encoder has.
        """
        widths: list[int] = []
        while f"convolutions.{len(widths)}.weight" in shapes:
            widths.append(shapes[f"convolutions.{len(widths)}.weight"][0])
        outputs, hidden = shapes["head.weight"]
        return cls(tuple(widths), hidden, outputs - LABELS)


class Encoder(nn.Module):
    """Convolutions of stride 2, then two linear layers.

    Parameters
    ----------
    sizes : of its layers.

    Raises
    ------
    ValueError : there is no convolution, or one's channels cannot be normalised in groups.
    """

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        if not sizes.widths or any(width % TOGETHER for width in sizes.widths):
            raise ValueError(f"the encoder's widths {sizes.widths} are not multiples of {TOGETHER}")
        self.sizes = sizes
        self.convolutions = nn.ModuleList(
            nn.Conv3d(before, width, 3, stride=2, padding=1)
            for before, width in pairwise((1, *sizes.widths))
        )
        self.norms = nn.ModuleList(nn.GroupNorm(w // TOGETHER, w) for w in sizes.widths)
        points = 1
        for n in LATTICE:
            points *= -(-n // 2 ** len(sizes.widths))
        self.squeeze = nn.Linear(points * sizes.widths[-1], sizes.hidden)
        self.head = nn.Linear(sizes.hidden, sizes.w + LABELS)

    def forward(self, t1: Tensor) -> tuple[Tensor, Tensor]:
        """Style (N, w) and label vector (N, 5) of T1s (N, 1, *LATTICE), normalised intensity."""
        x = t1
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.silu(norm(convolution(x)))
        x = self.head(F.silu(self.squeeze(x.flatten(1))))
        style, labels = torch.split(x, [self.sizes.w, LABELS], dim=1)
        return style, labels
