"""Layers of the StyleGAN2 generator.

Source: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, CVPR 2020
(section 2.2 weight demodulation, 4.1 skip generator; equalised learning rates from
Karras et al. 2018, section 4.1).  Names of parameters are those of published snapshots.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: What makes up for the energy that a leaky ReLU of slope 0.2 takes.
ACTIVATION_GAIN: Final = math.sqrt(2.0)
SLOPE: Final = 0.2
EPSILON: Final = 1e-8

#: The binomial filter for doubling images and features, one axis, before normalisation.
FILTER: Final = (1.0, 3.0, 3.0, 1.0)


def unit_second_moment(x: Tensor) -> Tensor:
    """(N, C) with the mean square over C brought to 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2 that keeps the variance."""
    return F.leaky_relu(x, SLOPE) * ACTIVATION_GAIN


def bounded(x: Tensor, clamp: float | None) -> Tensor:
    """`x` within ±clamp, if there is a bound."""
    return x if clamp is None else x.clamp(-clamp, clamp)


class Linear(nn.Module):
    """A fully connected layer with an equalised learning rate.

    Parameters
    ----------
    inputs, outputs : numbers in and out.
    rate : the layer's learning rate relative to the network's, by which stored weights and
        biases are scaled.
    """

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self._gain = rate / math.sqrt(inputs)
        self._rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self._gain, self.bias * self._rate)


def binomial_filter() -> Tensor:
    """(4, 4) kernel whose sum is 1."""
    along = torch.tensor(FILTER)
    kernel = along.outer(along)
    return kernel / kernel.sum()


def smoothed(x: Tensor, kernel: Tensor) -> Tensor:
    """Filter what zeros were put into: (N, C, H + 3, W + 3) to (N, C, H, W)."""
    # Three of four values are zeros, so the filter's sum has to be 4.
    return F.conv2d(x, 4 * kernel.expand(x.shape[1], 1, -1, -1), groups=x.shape[1])


def doubled(x: Tensor, kernel: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 2 H, 2 W) through the filter; energy is kept."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, 2 * h, 2 * w)
    spread[:, :, ::2, ::2] = x
    return smoothed(F.pad(spread, (2, 1, 2, 1)), kernel)


def modulated(x: Tensor, weight: Tensor, styles: Tensor, *, double: bool = False) -> Tensor:
    """Convolve each image with weights of its own: scaled by its styles, then demodulated.

    Parameters
    ----------
    x : (N, I, H, W).
    weight : (O, I, k, k).
    styles : (N, I).
    double : put zeros between pixels first; gives (N, O, 2 H + 1, 2 W + 1) for k = 3.

    Returns
    -------
    (N, O, H, W) unless doubled.  Paper: equations 1 and 3.
    """
    own = weight.unsqueeze(0) * styles[:, None, :, None, None]
    scale = (own.square().sum(dim=(2, 3, 4)) + EPSILON).rsqrt()
    return _convolved(x, own * scale[:, :, None, None, None], double)


def scaled(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """As `modulated` without demodulation, for the layer that makes the picture."""
    return _convolved(x, weight.unsqueeze(0) * styles[:, None, :, None, None], double=False)


def _convolved(x: Tensor, own: Tensor, double: bool) -> Tensor:
    """Images (N, I, H, W) with kernels (N, O, I, k, k), as one grouped convolution."""
    n, o, i, k, _ = own.shape
    joined = x.reshape(1, n * i, *x.shape[2:])
    if double:
        kernels = own.transpose(1, 2).reshape(n * i, o, k, k)
        y = F.conv_transpose2d(joined, kernels, stride=2, groups=n)
    else:
        y = F.conv2d(joined, own.reshape(n * o, i, k, k), padding=k // 2, groups=n)
    return y.reshape(n, o, *y.shape[2:])


class StyledConv(nn.Module):
    """A modulated 3×3 convolution, noise, bias and activation.

    Parameters
    ----------
    inputs, outputs : channels.
    style : numbers of a style vector.
    resolution : height and width of what it gives.
    double : whether it doubles them.
    clamp : bound of what it gives, None for none.
    """

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        style: int,
        resolution: int,
        *,
        double: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.affine = Linear(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", binomial_filter())
        self._double = double
        self._clamp = clamp

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """(N, inputs, h, h) under styles (N, style); `noise` (…, H, H) or None for no noise."""
        x = modulated(x, self.weight, self.affine(w), double=self._double)
        if self._double:
            x = smoothed(F.pad(x, (1, 1, 1, 1)), self.resample_filter)
        if noise is not None:
            x = x + noise * self.noise_strength
        return bounded(activate(x + self.bias[None, :, None, None]), self._clamp)


class ToImage(nn.Module):
    """From features to the channels of the picture."""

    def __init__(
        self, inputs: int, channels: int, style: int, *, clamp: float | None = None
    ) -> None:
        super().__init__()
        self._clamp = clamp
        self.affine = Linear(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self._gain = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(N, inputs, H, W) under styles (N, style) to (N, channels, H, W)."""
        styles = self.affine(w) * self._gain
        picture = scaled(x, self.weight, styles) + self.bias[None, :, None, None]
        return bounded(picture, self._clamp)
