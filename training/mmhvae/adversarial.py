"""The adversarial term of MMHVAE: one patch discriminator a modality, least squares.

As the authors released it (Dorent et al., TPAMI 2025; github.com/ReubenDo/MMHVAE,
``train.py`` and ``network/discriminator_pathgan2D.py`` at 6f6ea2a): of the images that
the network makes from a part of the modalities, all are to pass for real ones; the
discriminators learn from images of modalities that the network did not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: The discriminator halves its input six times and needs this side; smaller images are
#: centred in background.
SIDE = 192


class Discriminator(nn.Module):
    """Convolutions 4x4: `halvings` of stride 2, one of stride 1, one to a single channel.

    Parameters
    ----------
    features : channels of the first convolution; at most four times as many further on.
    """

    def __init__(self, features: int = 64, halvings: int = 6) -> None:
        super().__init__()
        widths = [features * min(2**n, 4) for n in range(halvings + 1)]
        layers: list[nn.Module] = [nn.Conv2d(1, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for n in range(1, halvings + 1):
            stride = 2 if n < halvings else 1
            layers += [
                nn.Conv2d(widths[n - 1], widths[n], 4, stride, 1),
                nn.InstanceNorm2d(widths[n]),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        high, wide = (max(SIDE - size, 0) for size in images.shape[2:])
        margins = (wide // 2, wide - wide // 2, high // 2, high - high // 2)
        # The published images lie in [-1, 1] with background -1.
        return self.layers(2 * F.pad(images, margins) - 1)  # type: ignore[no-any-return]


def critics(modalities: Sequence[str], features: int = 64) -> nn.ModuleDict:
    """A discriminator for each modality."""
    return nn.ModuleDict({m: Discriminator(features) for m in modalities})


def passing(critics: nn.ModuleDict, images: Mapping[str, Tensor]) -> Tensor:
    """Mean over modalities of (D(image) - 1)^2: what the network reduces.

    Parameters
    ----------
    images : modality to (N, 1, H, W) in normalised intensity, 0 outside the brain.
    """
    terms = [(critics[m](image).float() - 1).square().mean() for m, image in images.items()]
    return torch.stack(terms).mean()


def telling_apart(
    critics: nn.ModuleDict, real: Mapping[str, Tensor], fake: Mapping[str, Tensor]
) -> Tensor:
    """(D(real) - 1)^2 + D(fake)^2, each the mean over its modalities.

    Gradients reach the discriminators only.
    """
    real_terms = [
        (critics[m](image.detach()).float() - 1).square().mean() for m, image in real.items()
    ]
    fake_terms = [critics[m](image.detach()).float().square().mean() for m, image in fake.items()]
    return torch.stack(real_terms).mean() + torch.stack(fake_terms).mean()


def freeze(critics: nn.ModuleDict, frozen: bool) -> None:
    """Whether gradients stop at the discriminators' weights."""
    critics.requires_grad_(not frozen)
