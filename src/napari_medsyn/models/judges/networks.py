"""The networks of the judges that read a T1: one that names tissues, one linear on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: The network halves its input this often: sizes are padded to a multiple of 2 ** this.
HALVINGS = 2
#: Spacing of the atlas in voxels of the input.
ATLAS_STEP = 2
#: Intensity by which everything brighter is clipped, as in training.
BRIGHTEST = 1.5


@dataclass(frozen=True, slots=True)
class TissueTopology:
    """Sizes of a `TissueNet`.

    Parameters
    ----------
    classes : tissues told apart; class k of the output is code k + 1.
    widths : channels at full, half and quarter resolution.
    shape : voxels of the grid that the atlas covers.
    """

    classes: int
    widths: tuple[int, int, int]
    shape: tuple[int, int, int]

    @classmethod
    def from_card(cls, architecture: dict[str, Any]) -> TissueTopology:
        """Read the part of a card's architecture that describes the network.

        Raises
        ------
        KeyError, TypeError, ValueError : something is missing or out of range.
        """
        first, second, third = (int(width) for width in architecture["widths"])
        x, y, z = (int(size) for size in architecture["shape"])
        classes = int(architecture["classes"])
        if not 2 <= classes <= 64 or min(x, y, z) < 8 or max(x, y, z) > 512:
            raise ValueError(f"{classes} classes on a grid of {x} x {y} x {z}")
        if not 1 <= min(first, second, third) <= max(first, second, third) <= 512:
            raise ValueError(f"widths of {first}, {second} and {third} channels")
        return cls(classes, (first, second, third), (x, y, z))

    @property
    def padded(self) -> tuple[int, int, int]:
        """`shape`, each size rounded up to what the network can halve."""
        step = 2**HALVINGS
        x, y, z = (-(-size // step) * step for size in self.shape)
        return x, y, z


class TissueNet(nn.Module):
    """A U-Net in three dimensions that also sees where in an average brain it is.

    The atlas, each class's frequency in the training people at half resolution, joins the
    features there: scans are aligned to MNI152, so most of the anatomy need not be learnt.
    It is kept as `atlas`, (1, classes, X / 2, Y / 2, Z / 2) of the padded grid.
    """

    atlas: Tensor

    def __init__(self, topology: TissueTopology) -> None:
        super().__init__()
        self.topology = topology
        first, second, third = topology.widths
        atlas = [size // ATLAS_STEP for size in topology.padded]
        self.register_buffer("atlas", torch.zeros(1, topology.classes, *atlas))
        self.enter = _block(1, first)
        self.down_1 = _block(first, second, stride=2)
        self.join = _block(second + topology.classes, second)
        self.down_2 = _block(second, third, stride=2)
        self.deep = _block(third, third)
        self.narrow_1 = nn.Conv3d(third, second, 1)
        self.up_1 = _block(second, second)
        self.narrow_0 = nn.Conv3d(second, first, 1)
        self.up_0 = _block(first, first)
        self.leave = nn.Conv3d(first, topology.classes, 1)

    def forward(self, t1: Tensor, atlas: Tensor) -> Tensor:
        """Logits (B, classes, X, Y, Z) of each voxel's tissue.

        Parameters
        ----------
        t1 : (B, 1, X, Y, Z) normalised intensity, 0 outside the brain; sizes are
            multiples of 4.
        atlas : (B, classes, X / 2, Y / 2, Z / 2), the same part of `self.atlas`.
        """
        full = self.enter(t1)
        half = self.join(torch.cat([self.down_1(full), atlas.to(t1.dtype)], dim=1))
        deep = self.deep(self.down_2(half))
        half = self.up_1(half + F.interpolate(self.narrow_1(deep), scale_factor=2.0))
        full = self.up_0(full + F.interpolate(self.narrow_0(half), scale_factor=2.0))
        logits: Tensor = self.leave(full)
        return logits

    @torch.inference_mode()
    def shares(self, t1: Tensor) -> Tensor:
        """(classes, X, Y, Z) float32: the probability of each tissue in each voxel.

        Parameters
        ----------
        t1 : (X, Y, Z) normalised intensity on the whole grid, 0 outside the brain.
        """
        missing = [p - s for p, s in zip(self.topology.padded, t1.shape, strict=True)]
        x, y, z = missing
        padded = F.pad(t1.clamp(0, BRIGHTEST), (0, z, 0, y, 0, x))[None, None]
        padded = padded.contiguous(memory_format=torch.channels_last_3d)
        logits = self(padded.to(self.atlas.device), self.atlas)
        full_x, full_y, full_z = t1.shape
        shares: Tensor = logits[0, :, :full_x, :full_y, :full_z].float().softmax(dim=0)
        return shares


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm3d(outputs),
        nn.SiLU(inplace=True),
    )
