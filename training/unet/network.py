"""A U-Net over slices and their neighbours that is told which modalities are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medsyn.models.layers import CompactHead, CompactUp, ResidualBlock
from training.data.grids import MODALITIES


@dataclass(frozen=True)
class Layout:
    """What the network looks like; the blocks are those of the compact MMHVAE.

    Parameters
    ----------
    widths : channels of each scale, finest first.
    patch : pixels folded into channels at the input, unfolded at the output.
    context : neighbouring slices read on each side.
    positions : coordinate channels that the stem reads.
    """

    widths: tuple[int, ...] = (48, 80, 112, 160, 160)
    patch: int = 2
    context: int = 1
    positions: int = 3
    head_features: int = 24
    modalities: tuple[str, ...] = MODALITIES

    @classmethod
    def of(cls, architecture: Mapping[str, Any]) -> Layout:
        """From `as_dict`'s values, with JSON's lists for tuples."""
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v
            for k, v in architecture.items()
            if k != "layout"
        }
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"layout": "unet", **asdict(self)}


class UNet(nn.Module):
    """Missing modalities are zero channels, and a plane of 0 among the presence masks.

    Zeros and masks in one network for all subsets are the usual way without experts:
    Havaei et al., "HeMIS", MICCAI 2016, is its criticism.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        widths, n = layout.widths, len(layout.modalities)
        folded = n * (1 + 2 * layout.context) * layout.patch**2
        self.stem = nn.Conv2d(folded + n + layout.positions, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList([ResidualBlock(w) for w in widths])
        self.downs = nn.ModuleList(
            [nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)]
        )
        up = widths[::-1]
        self.ups = nn.ModuleList([CompactUp(a, b) for a, b in pairwise(up)])
        self.merges = nn.ModuleList([nn.Conv2d(2 * w, w, 1) for w in up[1:]])
        self.up_blocks = nn.ModuleList([ResidualBlock(w) for w in up[1:]])
        self.heads = nn.ModuleDict(
            {
                m: CompactHead(widths[0], layout.head_features, layout.patch)
                for m in layout.modalities
            }
        )

    def forward(
        self, images: Tensor, fed: Sequence[int], where: Tensor, targets: Sequence[str]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        n, modalities = images.shape[:2]
        presence = torch.zeros(modalities, device=images.device)
        presence[list(fed)] = 1
        x = (images * presence[:, None, None, None]).flatten(1, 2)
        x = F.pixel_unshuffle(x, self.layout.patch)
        flags = presence[None, :, None, None].expand(n, -1, *x.shape[2:])
        x = torch.cat([x, flags, where], dim=1).contiguous(memory_format=torch.channels_last)
        x = self.stem(x)
        skips = []
        for depth, block in enumerate(self.down_blocks):
            x = block(x)
            skips.append(x)
            if depth < len(self.downs):
                x = self.downs[depth](x)
        for i, block in enumerate(self.up_blocks):
            joined = torch.cat([self.ups[i](x), skips[-2 - i]], dim=1)
            x = block(self.merges[i](joined))
        made = {m: self.heads[m](x) for m in targets}
        return {m: y[:, :1] for m, y in made.items()}, {m: y[:, 1:] for m, y in made.items()}
