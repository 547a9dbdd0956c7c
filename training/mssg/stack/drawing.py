"""The generator's forward pass for training on a CPU: the same numbers, twice as fast.

`models.stylegan2` gives every picture kernels of its own, as inference on one picture likes
it.  Scaling the features before and after one shared kernel is the same in exact arithmetic
(Karras et al. 2020, section 2.2) and spares a batch its grouped convolutions.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medsyn.models.stylegan2.layers import (
    EPSILON,
    StyledConv,
    ToImage,
    activate,
    doubled,
    smoothed,
)
from napari_medsyn.models.stylegan2.network import Generator


def draw(net: Generator, styles: Tensor) -> Tensor:
    """Pictures (N, channels, H, W) of styles (N, styles, w), as ``net.synthesis`` gives them.

    The noise is the constant one, as it is in a stack.
    """
    x: Tensor | None = None
    picture: Tensor | None = None
    place = 0
    for block in net.synthesis.blocks():
        own = iter(styles[:, place : place + block.convolutions + 1].unbind(dim=1))
        if x is None:
            x = block.const.expand(len(styles), -1, -1, -1)
        else:
            x = _styled(block.conv0, x, next(own), double=True)
        x = _styled(block.conv1, x, next(own), double=False)
        added = _to_image(block.torgb, x, next(own))
        picture = added if picture is None else doubled(picture, block.resample_filter) + added
        place += block.convolutions
    return cast("Tensor", picture)


def mixed(net: Generator, z: Tensor, other: Tensor, c: Tensor, share: float) -> Tensor:
    """Styles (N, styles, w) of latents (N, z) and labels; some change to `other` on the way.

    Parameters
    ----------
    share : of the pictures that change to the other latent, after a random style.
    """
    w = net.mapping(torch.cat([z, other]), c.repeat(2, 1))
    first, second = w[: len(z)], w[len(z) :]
    count = net.layout.styles
    after = torch.randint(1, count, (len(z), 1))
    after = torch.where(torch.rand(len(z), 1) < share, after, count)
    is_first = torch.arange(count) < after
    return torch.where(is_first[:, :, None], first[:, None], second[:, None])


def _styled(conv: StyledConv, x: Tensor, w: Tensor, *, double: bool) -> Tensor:
    styles = conv.affine(w)
    energy = conv.weight.square().sum(dim=(2, 3))
    scale = (styles.square() @ energy.T + EPSILON).rsqrt()
    x = x * styles[:, :, None, None]
    if double:
        x = F.conv_transpose2d(x, conv.weight.transpose(0, 1), stride=2)
        x = smoothed(F.pad(x, (1, 1, 1, 1)), conv.resample_filter.to(x.dtype))
    else:
        x = F.conv2d(x, conv.weight, padding=1)
    x = x * scale[:, :, None, None] + conv.noise_const * conv.noise_strength
    return activate(x + conv.bias[None, :, None, None])


def _to_image(layer: ToImage, x: Tensor, w: Tensor) -> Tensor:
    styles = layer.affine(w) * layer.weight.shape[1] ** -0.5
    return F.conv2d(x * styles[:, :, None, None], layer.weight) + layer.bias[None, :, None, None]
