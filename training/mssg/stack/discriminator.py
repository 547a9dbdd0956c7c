"""One residual StyleGAN2 discriminator for all sources, with a head for each label.

Source: Karras et al. 2020 (residual discriminator, minibatch standard deviation); Lai et al.
2024 (heads in the place of the projection).  For training only: it is not shipped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medsyn.models.stylegan2.layers import EPSILON, Linear, activate, binomial_filter

#: How much the detail of a picture is raised for the discriminator.
DETAIL = 4.0
#: Pictures over which the last block sees how much they differ.
GROUP = 4


class Conv(nn.Module):
    """A convolution with an equalised learning rate.

    Parameters
    ----------
    inputs, outputs : channels.
    size : of the kernel, odd.
    """

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self._gain = 1 / math.sqrt(inputs * size**2)

    def forward(self, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, …)."""
        return F.conv2d(x, self.weight * self._gain, stride=stride, padding=padding)


class Bias(nn.Module):
    """Adds a number to each channel, and activates."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same."""
        return activate(x + self.bias[None, :, None, None])


class Halving(nn.Module):
    """A residual block that halves the picture, and keeps its energy.

    Parameters
    ----------
    inputs, outputs : channels.
    """

    kernel: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0, self.bias0 = Conv(inputs, inputs, 3), Bias(inputs)
        self.conv1, self.bias1 = Conv(inputs, outputs, 3), Bias(outputs)
        self.skip = Conv(inputs, outputs, 1)
        self.register_buffer("kernel", binomial_filter(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, 2 h, 2 w) to (N, outputs, h, w)."""
        # Means of two by two where the usual filter would take longest of all on a CPU.
        straight = self.skip(F.avg_pool2d(x, 2))
        x = self.bias0(self.conv0(x, padding=1))
        kernel = self.kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)
        blurred = F.conv2d(x, kernel, padding=2, groups=x.shape[1])
        x = self.bias1(self.conv1(blurred, stride=2)) + straight
        return x * math.sqrt(0.5)


class Discriminator(nn.Module):
    """Real or made, and what the labels are.

    Parameters
    ----------
    features : channels at 4, 8, … pixels up to the side of the picture.
    heads : numbers of labels.
    """

    def __init__(self, features: Sequence[int], heads: int) -> None:
        super().__init__()
        fine_to_coarse = list(features)[::-1]
        self.first, self.bias = Conv(2, fine_to_coarse[0], 1), Bias(fine_to_coarse[0])
        pairs = pairwise(fine_to_coarse)
        self.blocks = nn.ModuleList(Halving(*pair) for pair in pairs)
        last = fine_to_coarse[-1]
        self.mixed, self.mixed_bias = Conv(last + 1, last, 3), Bias(last)
        self.dense = Linear(16 * last, last)
        self.out = Linear(last, 1 + heads)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N,) of being real and labels (N, heads) of pictures (N, 1, H, W)."""
        x = self.bias(self.first(with_detail(pictures)))
        for block in self.blocks:
            x = block(x)
        x = self.mixed_bias(self.mixed(with_spread(x), padding=1))
        said = self.out(activate(self.dense(x.flatten(1)))).float()
        return said[:, 0], said[:, 1:]


def with_detail(pictures: Tensor) -> Tensor:
    """Pictures (N, 1, H, W) with a second channel: what a mean of 3 × 3 pixels takes away.

    Detail is a small part of a picture's energy, which a discriminator finds late; and the
    run is short.
    """
    smooth = F.avg_pool2d(pictures, 3, stride=1, padding=1, count_include_pad=False)
    return torch.cat([pictures, DETAIL * (pictures - smooth)], dim=1)


def with_spread(x: Tensor) -> Tensor:
    """(N, C, H, W) with one more channel: how much the pictures of a group differ.

    Groups are of `GROUP` pictures, of fewer where they do not divide N.
    Source: Karras et al. 2018, section 3.
    """
    n, _, h, w = x.shape
    size = GROUP if n % GROUP == 0 else n
    groups = x.float().reshape(size, n // size, -1)
    spread = (groups.var(dim=0, unbiased=False) + EPSILON).sqrt().mean(dim=1)
    return torch.cat([x, spread.to(x.dtype).repeat(size).view(n, 1, 1, 1).expand(-1, 1, h, w)], 1)
