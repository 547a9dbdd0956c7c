"""Differentiable augmentation: the discriminator never sees a picture as it is.

Source: Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training, NeurIPS
2020: reals and fakes are changed alike, so that few people are not learnt by heart.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: Most pixels by which a picture is moved along each axis.
SHIFT = 4
#: Most by which its brightness, and the logarithm of its contrast, are changed.
BRIGHTNESS, CONTRAST = 0.1, 0.1


def augmented(pictures: Tensor) -> Tensor:
    """Pictures (N, 1, H, W), -1 background, moved and of another brightness; background stays."""
    n, _, h, w = pictures.shape
    above = pictures + 1
    contrast = torch.empty(n, 1, 1, 1).uniform_(-CONTRAST, CONTRAST).exp()
    brightness = torch.empty(n, 1, 1, 1).uniform_(-BRIGHTNESS, BRIGHTNESS)
    # Proportional to what is there where it is dark, so that the background does not shine.
    above = above * contrast + brightness * above.clamp(0, 0.5) * 2
    wide = F.pad(above, (SHIFT,) * 4)
    dx, dy = (torch.randint(0, 2 * SHIFT + 1, (n, 1)) for _ in range(2))
    rows = (dx + torch.arange(h))[:, None, :, None].expand(-1, -1, -1, wide.shape[3])
    columns = (dy + torch.arange(w))[:, None, None, :].expand(-1, -1, h, -1)
    return wide.gather(2, rows).gather(3, columns) - 1
