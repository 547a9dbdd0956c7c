"""MMHVAE: a hierarchical mixture of products of experts for missing modalities.

Dorent et al., "Unified cross-modal image synthesis with hierarchical mixture of
product-of-experts", TPAMI 2025 (arXiv 2410.19378).  Any non-empty subset of the
modalities goes in, all of them come out.  Each modality has its own encoder; at every
level of the latent hierarchy the posterior is a product of the prior and one Gaussian
expert for each modality that is present, so a missing one is simply left out.

One class runs two layouts, told apart by the card: ``published`` (the released network,
whose state dicts load strictly) and ``compact`` (ours, for CPUs: fully convolutional, at
half resolution inside, aware of where in the head it looks).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from napari_medsyn.models import layers

#: Standard normal noise for level `l` (0 the deepest) in the shape of the latent's mean.
Noise = Callable[[int, Tensor], Tensor]


@dataclass(frozen=True)
class Topology:
    """What the network looks like; read from a card's ``architecture``.

    Parameters
    ----------
    layout : "published" or "compact".
    modalities : names, in the order of the training set.
    widths : channels of each scale, finest first.
    latents : channels of the latent at each scale, finest first (compact only: the
        published network halves the width).
    side : height and width of the input (published only: its bottleneck is a vector).
    vector : size of the vector z_L (published only).
    head_features, head_blocks : size of the image heads.
    patch : pixels folded into channels at the input, unfolded at the output (compact).
    context : neighbouring slices read on each side (compact).
    positions : coordinate channels that the stem reads (compact).
    """

    layout: Literal["published", "compact"]
    modalities: tuple[str, ...]
    widths: tuple[int, ...]
    latents: tuple[int, ...] = ()
    side: int = 0
    vector: int = 256
    head_features: int = 8
    head_blocks: int = 6
    patch: int = 1
    context: int = 0
    positions: int = 0

    @classmethod
    def from_card(cls, architecture: Mapping[str, Any]) -> Topology:
        """Read from JSON, where tuples are lists.

        Raises
        ------
        TypeError, ValueError : a setting is not known, or one is missing.
        """
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in architecture.items()
        }
        topology = cls(**values)
        if topology.layout not in _BUILDERS:
            raise ValueError(f"layout {topology.layout!r} is not one of {', '.join(_BUILDERS)}")
        return topology

    def fits(self, height: int, width: int) -> bool:
        """Whether slices of this size can be halved as often as the network does."""
        if self.layout == "published":
            return height == width == self.side
        multiple = self.patch * 2 ** (len(self.widths) - 1)
        return not height % multiple and not width % multiple

    @classmethod
    def published(
        cls,
        modalities: Sequence[str] = ("us", "t2", "cet1", "flair"),
        base: int = 16,
        pools: int = 6,
        maximum: int = 128,
        side: int = 192,
        head_features: int = 8,
        head_blocks: int = 6,
    ) -> Topology:
        """The released network's settings; the defaults are those of the paper."""
        widths = tuple(min(base * 2**d, maximum) for d in range(pools + 1))
        return cls(
            layout="published",
            modalities=tuple(modalities),
            widths=widths,
            side=side,
            vector=2 * maximum,
            head_features=head_features,
            head_blocks=head_blocks,
        )


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A diagonal Gaussian: `mean` and `std`, same shape."""

    mean: Tensor
    std: Tensor


#: Prior (None for N(0, 1)) and experts to posterior and prior.
ProductOfExperts = Callable[[Tensor | None, Sequence[Tensor]], tuple[Gaussian, Gaussian]]


@dataclass(eq=False)
class Decoded:
    """What one top-down pass gives.

    Parameters
    ----------
    mean : modality to (N, 1, H, W).
    log_scale : modality to (N, 1, H, W), log of the Laplace scale (compact only).
    posteriors, priors : of each level, deepest first; filled only if asked for.
    """

    mean: dict[str, Tensor] = field(default_factory=dict)
    log_scale: dict[str, Tensor] = field(default_factory=dict)
    posteriors: list[Gaussian] = field(default_factory=list)
    priors: list[Gaussian] = field(default_factory=list)


class MMHVAE(nn.Module):
    """The network; `encode` each modality once, then `decode` any subset at will.

    Its parts carry the names of the released code, which the state dicts expect.
    """

    #: By modality: first convolution, a block for each scale, and the way to the next scale.
    first_conv: nn.ModuleDict
    conv_blocks_context: nn.ModuleDict
    td: nn.ModuleDict
    #: Deepest feature to the parameters of z_L, and z_L to the first feature of the way up.
    bottleneck_down: nn.Module
    bottleneck_up: nn.Module
    #: By level of the way up: doubling, block, posterior expert, prior, way of z to the feature.
    tu: nn.ModuleList
    conv_blocks_localization: nn.ModuleList
    qz: nn.ModuleList
    pz: nn.ModuleList
    merge: nn.ModuleList | None
    #: By modality: feature to image.
    final_blocks: nn.ModuleDict
    product_of_experts: ProductOfExperts

    def __init__(self, topology: Topology) -> None:
        super().__init__()
        self.topology = topology
        _BUILDERS[topology.layout](self, topology)

    def encode(self, modality: str, x: Tensor, position: Tensor | None = None) -> list[Tensor]:
        """Skips of one modality, finest first.

        Parameters
        ----------
        x : (N, 1 + 2 * context, H, W): the slice with its neighbours.
        position : (N, positions, H / patch, W / patch) coordinates in [-1, 1].
        """
        if self.topology.patch > 1:
            x = F.pixel_unshuffle(x, self.topology.patch)
        if position is not None:
            x = torch.cat([x, position], dim=1)
        x = self.first_conv[modality](x)
        skips = []
        blocks = cast("nn.ModuleList", self.conv_blocks_context[modality])
        halvings = cast("nn.ModuleList", self.td[modality])
        for depth, block in enumerate(blocks):
            x = block(x)
            skips.append(x)
            if depth < len(halvings):
                x = halvings[depth](x)
        return skips

    def decode(
        self,
        skips: Mapping[str, Sequence[Tensor]],
        *,
        targets: Sequence[str] | None = None,
        noise: Noise | None = None,
        temperature: float = 1.0,
        keep_latents: bool = False,
    ) -> Decoded:
        """Top-down pass from the encodings of the modalities that are present.

        Parameters
        ----------
        skips : modality to `encode`'s result; the missing ones are simply absent.
        targets : modalities to compute, all by default.
        noise : standard normal noise; None follows the mean at every level.
        temperature : factor of the posterior's standard deviation; 0 is the mean path.
        """
        if not skips:
            raise ValueError("at least one modality must be present")
        decoded = Decoded()
        top = [self.bottleneck_down(levels[-1]) for levels in skips.values()]
        posterior, prior = self.product_of_experts(None, top)
        z = _sample(posterior, noise, 0, temperature)
        if keep_latents:
            decoded.posteriors.append(posterior)
            decoded.priors.append(prior)
        carry = self.bottleneck_up(z)
        for i, block in enumerate(self.conv_blocks_localization):
            feature = block(self.tu[i](carry))
            depth = len(self.conv_blocks_localization) - 1 - i
            experts = [
                self.qz[i](torch.cat([feature, levels[depth]], dim=1)) for levels in skips.values()
            ]
            posterior, prior = self.product_of_experts(self.pz[i](feature), experts)
            z = _sample(posterior, noise, i + 1, temperature)
            if keep_latents:
                decoded.posteriors.append(posterior)
                decoded.priors.append(prior)
            carry = z if self.merge is None else feature + self.merge[i](z)
        for modality in targets or self.topology.modalities:
            image = self.final_blocks[modality](carry)
            decoded.mean[modality] = image[:, :1]
            if image.shape[1] > 1:
                decoded.log_scale[modality] = image[:, 1:]
        return decoded

    def forward(self, images: Mapping[str, Tensor], **decode: Any) -> dict[str, Tensor]:
        """Encode and decode: modality to (N, 1, H, W) in, every target's mean out.

        In the published layout the images are in [-1, 1] with background -1, and the
        background of the first one is the background of all results.
        """
        skips = {modality: self.encode(modality, x) for modality, x in images.items()}
        means = self.decode(skips, **decode).mean
        if self.topology.layout == "published":
            inside = next(iter(images.values())) > -1
            means = {m: torch.where(inside, y, -1.0) for m, y in means.items()}
        return means


def positions(slices: Tensor, shape: Sequence[int], patch: int) -> Tensor:
    """(N, 3, X / patch, Y / patch) where voxels lie on the model's grid, in [-1, 1].

    Parameters
    ----------
    slices : (N,) indices along the last axis of the grid.
    shape : (X, Y, Z) of the grid.
    """
    x = torch.linspace(-1, 1, shape[0] // patch)
    y = torch.linspace(-1, 1, shape[1] // patch)
    plane = torch.stack(torch.meshgrid(x, y, indexing="ij"))
    z = 2 * slices.float() / (shape[2] - 1) - 1
    n = len(slices)
    depth = z.view(n, 1, 1, 1).expand(n, 1, *plane.shape[1:])
    return torch.cat([plane.expand(n, -1, -1, -1), depth], dim=1)


def product_by_inverse_scale(
    prior: Tensor | None, experts: Sequence[Tensor]
) -> tuple[Gaussian, Gaussian]:
    """The released code's product: weights are inverse scales, not inverse variances.

    s = 1 / (1/s_p + sum exp(-a_i)), mu = s (m_p/s_p + sum m_i exp(-a_i)), and s is then
    used as a standard deviation.  Kept as it is, because published weights expect it.

    Parameters
    ----------
    prior : (N, 2Z, ...) mean and log-scale, None for N(0, 1).
    experts : the same of each modality that is present.
    """
    pairs = [_squash(e).chunk(2, dim=1) for e in experts]
    if prior is None:
        mean_p, scale_p = torch.zeros_like(pairs[0][0]), torch.ones_like(pairs[0][0])
    else:
        mean_p, log_p = _squash(prior).chunk(2, dim=1)
        scale_p = log_p.exp()
    weight = 1 / scale_p
    total = mean_p * weight
    for mean, log_scale in pairs:
        w = (-log_scale).exp()
        weight, total = weight + w, total + mean * w
    return Gaussian(total / weight, 1 / weight), Gaussian(mean_p, scale_p)


def product_by_precision(
    prior: Tensor | None, experts: Sequence[Tensor]
) -> tuple[Gaussian, Gaussian]:
    """The textbook product of Gaussians (paper, eq. of the joint posterior).

    Lambda = 1/v_p + sum 1/v_i, mu = (m_p/v_p + sum m_i/v_i) / Lambda, std = Lambda^-1/2.
    Parameters as in `product_by_inverse_scale`, with log-variances in [-8, 8].
    """
    pairs = [e.float().chunk(2, dim=1) for e in experts]
    if prior is None:
        mean_p, log_p = torch.zeros_like(pairs[0][0]), torch.zeros_like(pairs[0][0])
    else:
        mean_p, log_p = prior.float().chunk(2, dim=1)
        log_p = log_p.clamp(-8, 8)
    precision = (-log_p).exp()
    total = mean_p * precision
    for mean, log_variance in pairs:
        w = (-log_variance.clamp(-8, 8)).exp()
        precision, total = precision + w, total + mean * w
    return (
        Gaussian(total / precision, precision.rsqrt()),
        Gaussian(mean_p, (log_p / 2).exp()),
    )


def _squash(v: Tensor) -> Tensor:
    return 10 * torch.tanh(v / 10)


def _sample(q: Gaussian, noise: Noise | None, level: int, temperature: float) -> Tensor:
    if noise is None or temperature == 0:
        return q.mean
    return q.mean + temperature * q.std * noise(level, q.mean)


def _build_published(net: MMHVAE, t: Topology) -> None:
    pools = len(t.widths) - 1
    side = t.side // 2**pools
    deepest = t.widths[-1]
    net.first_conv = nn.ModuleDict(
        {m: nn.Conv2d(1, t.widths[0], 3, padding=1) for m in t.modalities}
    )
    net.conv_blocks_context = nn.ModuleDict(
        {
            m: nn.ModuleList([layers.PublishedEncoderBlock(w) for w in t.widths])
            for m in t.modalities
        }
    )
    net.td = nn.ModuleDict({m: _strided(t.widths) for m in t.modalities})
    net.bottleneck_down = layers.VectorBottleneckDown(deepest * side * side, t.vector)
    net.bottleneck_up = layers.VectorBottleneckUp(t.vector, (deepest, side, side))
    up = list(reversed(t.widths[:-1]))  # width of each level, deepest first
    carried = [deepest] + [w // 2 for w in up]
    net.tu = nn.ModuleList([layers.PublishedUp(carried[i], w) for i, w in enumerate(up)])
    net.conv_blocks_localization = nn.ModuleList([layers.PublishedDecoderBlock(w) for w in up])
    net.qz = nn.ModuleList([layers.PublishedExpert(w) for w in up])
    net.pz = nn.ModuleList([weight_norm(nn.Conv2d(w, w, 1, bias=False)) for w in up])
    net.merge = None
    net.final_blocks = nn.ModuleDict(
        {m: layers.PublishedHead(carried[-1], t.head_features, t.head_blocks) for m in t.modalities}
    )
    net.product_of_experts = product_by_inverse_scale


def _build_compact(net: MMHVAE, t: Topology) -> None:
    stem = (1 + 2 * t.context) * t.patch**2 + t.positions
    deepest, z_top = t.widths[-1], t.latents[-1]
    net.first_conv = nn.ModuleDict(
        {m: nn.Conv2d(stem, t.widths[0], 3, padding=1) for m in t.modalities}
    )
    net.conv_blocks_context = nn.ModuleDict(
        {m: nn.ModuleList([layers.ResidualBlock(w) for w in t.widths]) for m in t.modalities}
    )
    net.td = nn.ModuleDict({m: _strided(t.widths) for m in t.modalities})
    net.bottleneck_down = layers.compact_prior(deepest, z_top)
    net.bottleneck_up = nn.Conv2d(z_top, deepest, 1)
    up = list(reversed(t.widths[:-1]))
    latents = list(reversed(t.latents[:-1]))
    carried = [deepest, *up]
    net.tu = nn.ModuleList([layers.CompactUp(carried[i], w) for i, w in enumerate(up)])
    net.conv_blocks_localization = nn.ModuleList([layers.ResidualBlock(w) for w in up])
    net.qz = nn.ModuleList([layers.CompactExpert(w, z) for w, z in zip(up, latents, strict=True)])
    net.pz = nn.ModuleList([layers.compact_prior(w, z) for w, z in zip(up, latents, strict=True)])
    net.merge = nn.ModuleList([nn.Conv2d(z, w, 1) for w, z in zip(up, latents, strict=True)])
    net.final_blocks = nn.ModuleDict(
        {m: layers.CompactHead(up[-1], t.head_features, t.patch) for m in t.modalities}
    )
    net.product_of_experts = product_by_precision


def _strided(widths: Sequence[int]) -> nn.ModuleList:
    """Stride-2 convolutions from each scale to the next coarser one."""
    return nn.ModuleList([nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)])


_BUILDERS: dict[str, Callable[[MMHVAE, Topology], None]] = {
    "published": _build_published,
    "compact": _build_compact,
}
