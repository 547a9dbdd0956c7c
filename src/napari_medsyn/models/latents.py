"""Latent vectors from a seed and the sliders that move them.

All noise comes from a generator on the CPU, so that the same seed gives the same latent
on every device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Prior = Literal["normal", "uniform"]


def latent(seed: int, size: int, offsets: Sequence[float] = (), prior: Prior = "normal") -> Tensor:
    """A latent vector drawn from the prior, moved by the sliders.

    Parameters
    ----------
    seed : fixes the draw.
    size : numbers of the latent.
    offsets : added to the first numbers of the draw, in the prior's own unit; missing
        ones stand for 0, so that sliders at rest give the drawn latent.
    prior : "normal", mean 0 and standard deviation 1; "uniform", 0 to 1, where a moved
        number stops at the ends.

    Returns
    -------
    (size,) float32 on the CPU.

    Raises
    ------
    ValueError : there are more offsets than numbers.
    """
    if len(offsets) > size:
        raise ValueError(f"{len(offsets)} offsets for a latent of {size} numbers")
    generator = torch.Generator("cpu").manual_seed(seed)
    drawn = (torch.randn if prior == "normal" else torch.rand)(size, generator=generator)
    moved = drawn.clone()
    if offsets:
        moved[: len(offsets)] += torch.tensor(offsets, dtype=torch.float32)
    return moved if prior == "normal" else moved.clamp_(0, 1)
