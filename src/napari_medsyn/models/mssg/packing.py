"""Small weights: large tensors as 8-bit integers with a scale for each row.

A tensor `name` of int8 or uint8 has its scale beside it, `name.scale` (rows,) float32: what is
meant is `name * scale`.  A tensor of one axis is one row.  Half precision stands for itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import torch
from torch import Tensor

SCALE: Final = ".scale"
#: Types of tensors that have a scale beside them.
COARSE: Final = (torch.int8, torch.uint8)


def packed(tensors: Mapping[str, Tensor], coarse: Collection[str]) -> dict[str, Tensor]:
    """Tensors as a package holds them: those named `coarse` in 8 bits, the rest in 16.

    Parameters
    ----------
    tensors : name to tensor; bool ones stay.
    coarse : the first axis is that of the rows.  Without negative values they become uint8.
    """
    small: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name not in coarse:
            small[name] = tensor if tensor.dtype == torch.bool else tensor.half()
            continue
        is_signed = bool((tensor < 0).any())
        most = 127 if is_signed else 255
        scale = tensor.reshape(_rows(tensor), -1).abs().amax(1).clamp(min=1e-12) / most
        rounded = (tensor / _beside(scale, tensor)).round()
        small[name] = rounded.to(torch.int8 if is_signed else torch.uint8)
        small[name + SCALE] = scale.float()
    return small


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same as float32; bool ones stay.

    Raises
    ------
    KeyError : a tensor of 8 bits has no scale.
    ValueError : a scale does not fit its tensor, or belongs to none.
    """
    wide: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(SCALE):
            if tensors.get(name.removesuffix(SCALE), tensor).dtype not in COARSE:
                raise ValueError(f"{name} is the scale of nothing")
        elif tensor.dtype in COARSE:
            scale = tensors[name + SCALE].float()
            if scale.shape != (_rows(tensor),):
                raise ValueError(f"{name}{SCALE} has shape {tuple(scale.shape)}")
            wide[name] = tensor.float() * _beside(scale, tensor)
        else:
            wide[name] = tensor if tensor.dtype == torch.bool else tensor.float()
    return wide


def _rows(tensor: Tensor) -> int:
    return 1 if tensor.ndim == 1 else tensor.shape[0]


def _beside(scale: Tensor, tensor: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (tensor.ndim - 1))
