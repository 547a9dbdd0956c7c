"""Building blocks that the networks of several families share, in two layouts.

The *published* blocks reproduce MMHVAE's released network layer by layer (names of
parameters included, so that its state dicts load strictly); the *compact* blocks are
ours, chosen for CPUs.  Shapes are (N, C, H, W) throughout.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm


class SqueezeExcite(nn.Module):
    """Scale channels by a gate computed from their means (hidden width max(C / 16, 4))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 16, 4)
        self.se = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.se(x.mean(dim=(2, 3)))
        return x * gate[:, :, None, None]


def _norm_act(x: Tensor) -> Tensor:
    """Instance norm without affine parameters, then SiLU."""
    return F.silu(F.instance_norm(x))


# --- the published layout -------------------------------------------------------------


class PublishedEncoderBlock(nn.Module):
    """(norm, SiLU, Conv3x3) twice, squeeze-and-excite, plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.se = SqueezeExcite(channels)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv_0(_norm_act(x))
        return x + self.se(self.conv_1(_norm_act(hidden)))  # type: ignore[no-any-return]


class PublishedDecoderBlock(nn.Module):
    """Inverted bottleneck: Conv3x3 to 6C, depthwise Conv5x5, gate, Conv1x1, plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 6 * channels
        self.conv_0 = nn.Conv2d(channels, wide, 3, padding=1)
        self.dw_conv_1 = nn.Conv2d(wide, wide, 5, padding=2, groups=wide)
        self.se_2 = SqueezeExcite(wide)
        self.conv_2 = nn.Conv2d(wide, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv_0(F.instance_norm(x))
        hidden = self.dw_conv_1(_norm_act(hidden))
        return x + self.conv_2(self.se_2(_norm_act(hidden)))  # type: ignore[no-any-return]


class PublishedUp(nn.Module):
    """Bilinear doubling, then Conv3x3 without bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_1(upsample(x))  # type: ignore[no-any-return]


class PublishedExpert(nn.Module):
    """Decoder feature and skip of one modality (2C) to mean and log-scale (C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.se = SqueezeExcite(channels)
        self.last_conv = weight_norm(nn.Conv2d(channels, channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv_0(_norm_act(x))
        return self.last_conv(self.se(self.conv_1(_norm_act(hidden))))  # type: ignore[no-any-return]


class _ReflectBlock(nn.Module):
    """The image head's residual block; the indices 1 and 5 are those of the checkpoints."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        conv = {"padding": 1, "padding_mode": "reflect"}
        self.conv_block = nn.Sequential(
            OrderedDict(
                {
                    "1": nn.Conv2d(channels, channels, 3, **conv),  # type: ignore[arg-type]
                    "2": nn.InstanceNorm2d(channels),
                    "3": nn.ReLU(),
                    "5": nn.Conv2d(channels, channels, 3, **conv),  # type: ignore[arg-type]
                    "6": nn.InstanceNorm2d(channels),
                }
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)  # type: ignore[no-any-return]


class PublishedHead(nn.Module):
    """Finest sample z_1 to an image in [-1, 1]."""

    def __init__(self, inputs: int, features: int, blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(inputs, features, 1)] if inputs != features else []
        layers += [_ReflectBlock(features) for _ in range(blocks)]
        self.res = nn.Sequential(*layers)
        self.convt2 = nn.Conv2d(features, features, 7, padding=3, padding_mode="reflect")
        self.convt3 = nn.Conv2d(features, 1, 7, padding=3, padding_mode="reflect")

    def forward(self, z: Tensor) -> Tensor:
        hidden = F.leaky_relu(F.instance_norm(self.convt2(self.res(z))), 0.2)
        return torch.tanh(self.convt3(hidden))


class VectorBottleneckDown(nn.Module):
    """Deepest feature map, flattened, to mean and log-scale of the vector z_L."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.linear = weight_norm(nn.Linear(features, 2 * latent))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1))  # type: ignore[no-any-return]


class VectorBottleneckUp(nn.Module):
    """z_L to the deepest feature map of shape (C, side, side)."""

    def __init__(self, latent: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.linear = weight_norm(nn.Linear(latent, shape[0] * shape[1] * shape[2]))

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(z).view(-1, *self.shape)  # type: ignore[no-any-return]


# --- the compact layout ---------------------------------------------------------------


class ResidualBlock(nn.Module):
    """GroupNorm, SiLU, Conv3x3, SiLU, Conv3x3, plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.conv_0 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv_1.weight)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv_0(F.silu(self.norm(x)))
        return x + self.conv_1(F.silu(hidden))  # type: ignore[no-any-return]


class CompactUp(nn.Module):
    """Conv1x1, then bilinear doubling (cheaper than the other way round, and the same)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return upsample(self.conv(x))


class CompactExpert(nn.Module):
    """Decoder feature and skip of one modality (2C) to mean and log-variance (2Z)."""

    def __init__(self, channels: int, latent: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(2 * channels, channels, 1)
        self.out = nn.Conv2d(channels, 2 * latent, 3, padding=1)
        _start_small(self.out)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.silu(self.mix(x)))  # type: ignore[no-any-return]


class CompactHead(nn.Module):
    """Decoder feature to mean and log-scale of a Laplace likelihood at full resolution.

    Output (N, 2, patch * H, patch * W): channel 0 the mean, channel 1 the log-scale.
    """

    def __init__(self, inputs: int, features: int, patch: int) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(inputs, features, 3, padding=1)
        self.conv_1 = nn.Conv2d(features, features, 3, padding=1)
        self.out = nn.Conv2d(features, 2 * patch * patch, 3, padding=1)
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.silu(self.conv_0(F.silu(x)))
        return F.pixel_shuffle(self.out(F.silu(self.conv_1(hidden))), self.patch)


def compact_prior(channels: int, latent: int) -> nn.Conv2d:
    """Decoder feature to mean and log-variance of the prior of one level."""
    return _start_small(nn.Conv2d(channels, 2 * latent, 1))


def _start_small(layer: nn.Conv2d) -> nn.Conv2d:
    """Start a Gaussian's parameters near zero, so that training begins near N(0, I)."""
    nn.init.normal_(layer.weight, std=0.02)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def upsample(x: Tensor) -> Tensor:
    """Bilinear doubling of height and width, pixel centres aligned at half pixels."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
