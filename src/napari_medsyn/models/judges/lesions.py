"""The lesion judge: white-matter lesions from any of T1, T1c, T2 and FLAIR, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_medsyn.errors import UnusableStudy
from napari_medsyn.models.judges.judge import Verdict
from napari_medsyn.models.judges.loading import filled, fitting

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy

#: Code of a lesion in the judge's map.
LESION = 1
#: Slices that a modality is read from: the one in question and its neighbours.
PLANES = 3
#: Channels that say where in the head a voxel is.
PLACE = 3
#: Intensity by which everything brighter is clipped, as in training.
BRIGHTEST = 1.5
#: Slices that go through the network together.
TOGETHER = 8


@dataclass(frozen=True, slots=True)
class LesionTopology:
    """Sizes of a `LesionNet`.

    Parameters
    ----------
    modalities : in the order of the network's channels.
    widths : channels at full, half, quarter, … resolution.
    """

    modalities: tuple[str, ...]
    widths: tuple[int, ...]

    @classmethod
    def from_card(cls, architecture: dict[str, Any]) -> LesionTopology:
        """Read the part of a card's architecture that describes the network.

        Raises
        ------
        KeyError, TypeError, ValueError : something is missing or out of range.
        """
        modalities = tuple(str(name) for name in architecture["modalities"])
        widths = tuple(int(width) for width in architecture["widths"])
        if not 1 <= len(modalities) <= 16 or not 2 <= len(widths) <= 6:
            raise ValueError(f"{len(modalities)} modalities and {len(widths)} resolutions")
        if not 1 <= min(widths) <= max(widths) <= 512:
            raise ValueError(f"widths of {min(widths)} to {max(widths)} channels")
        return cls(modalities, widths)

    @property
    def channels(self) -> int:
        """Of the network's input: slices, a flag for each modality, place."""
        return len(self.modalities) * (PLANES + 1) + PLACE

    @property
    def step(self) -> int:
        """Sides of what the network reads are multiples of this."""
        return int(2 ** (len(self.widths) - 1))


class LesionNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015, MICCAI) on axial slices with their neighbours.

    A modality that is missing is all zeros and has the flag 0; training leaves modalities
    out at random, so that one network reads every subset.
    """

    def __init__(self, topology: LesionTopology) -> None:
        super().__init__()
        self.topology = topology
        widths = topology.widths
        self.enter = _block(topology.channels, widths[0])
        self.down = nn.ModuleList(_block(fine, coarse) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(_block(fine + coarse, fine) for fine, coarse in pairwise(widths))
        self.leave = nn.Conv2d(widths[0], 1, 1)

    def forward(self, slices: Tensor, present: Tensor, place: Tensor) -> Tensor:
        """Log odds (B, 1, X, Y) that a voxel of the middle slice is in a lesion.

        Parameters
        ----------
        slices : (B, modalities, 3, X, Y) normalised intensity, 0 outside the brain and
            where a modality is missing; X and Y are multiples of ``topology.step``.
        present : (B, modalities) 1 where there is the modality, else 0.
        place : (B, 3, X, Y) of `place_in_head`.
        """
        size = slices.shape[-2:]
        flags = present[:, :, None, None].expand(-1, -1, *size)
        x = torch.cat([slices.flatten(1, 2), flags, place], dim=1)
        x = self.enter(x.contiguous(memory_format=torch.channels_last))
        finer = []
        for block in self.down:
            finer.append(x)
            x = block(F.max_pool2d(x, 2))
        for block, fine in zip(reversed(self.up), reversed(finer), strict=True):
            x = block(torch.cat([fine, F.interpolate(x, scale_factor=2.0)], dim=1))
        logits: Tensor = self.leave(x)
        return logits

    @torch.inference_mode()
    def probability(self, volumes: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """(X, Y, Z): probability of a lesion, mean of the brain and its mirror image.

        Parameters
        ----------
        volumes : modality to (X, Y, Z) normalised intensity, 0 outside the brain; at least
            one.  Modalities that the network does not know are left out.
        """
        known = [volumes.get(name) for name in self.topology.modalities]
        shape = next(v.shape for v in known if v is not None)
        out = np.zeros(shape, np.float32)
        inside = np.any([v > 0 for v in known if v is not None], axis=0)
        if not inside.any():
            return out
        box = _box(inside, self.topology.step)
        device = self.leave.weight.device
        present = torch.tensor([[float(v is not None) for v in known]], device=device)
        place = place_in_head(shape)
        for first, last in _runs(inside[box].any(axis=(0, 1)), TOGETHER):
            stack = torch.from_numpy(_stacked(known, box, first, last)).to(device)
            where = place[first:last, :, box[0], box[1]].to(device)
            flags = present.expand(len(stack), -1)
            odds = self(stack, flags, where).sigmoid()
            mirrored = self(stack.flip(-2), flags, where.flip(-2)).sigmoid().flip(-2)
            mean = (odds + mirrored)[:, 0] / 2
            out[box[0], box[1], first:last] = mean.permute(1, 2, 0).float().cpu().numpy()
        masked: NDArray[np.float32] = out * inside
        return masked


def place_in_head(shape: tuple[int, ...]) -> Tensor:
    """(Z, 3, X, Y): distance from the midplane, place along Y and along Z; in [-1, 1].

    Left and right are not told apart, so that a mirrored brain has the same place.
    """
    x, y, z = (torch.linspace(-1, 1, n) for n in shape)
    grid = torch.meshgrid(z, x.abs(), y, indexing="ij")
    return torch.stack([grid[1], grid[2], grid[0]], dim=1)


def count(lesions: NDArray[np.bool_]) -> int:
    """How many lesions there are: groups of voxels that touch, if only at a corner."""
    from scipy import ndimage

    return int(ndimage.label(lesions, np.ones((3, 3, 3)))[1])


def without_specks(lesions: NDArray[np.bool_], smallest: int) -> NDArray[np.bool_]:
    """The lesions of at least `smallest` voxels."""
    from scipy import ndimage

    kept = np.zeros(lesions.shape, bool)
    if lesions.any():
        (box,) = ndimage.find_objects(lesions.astype(np.uint8))
        labels, _ = ndimage.label(lesions[box], np.ones((3, 3, 3)))
        large = np.bincount(labels.ravel()) >= smallest
        large[0] = False
        kept[box] = large[labels]
    return kept


def load(card: ModelCard, weights: Path, device: str) -> LesionJudge:
    """Build the network that the card describes and fill it, strictly, from safetensors.

    Raises
    ------
    UnusableModel : the weights are not those of the architecture, or the card does not say
        from which probability on a voxel counts.
    """
    from safetensors.torch import load_file

    with fitting(weights):
        topology = LesionTopology.from_card(card.architecture)
        calibration = card.calibration or {}
        thresholds = {str(k): float(v) for k, v in calibration["thresholds"].items()}
        smallest = int(calibration["smallest_voxels"])
        if any(side % topology.step for side in card.grid.shape[:2]):
            raise ValueError(f"the grid's sides are not multiples of {topology.step}")
        if set(thresholds) != set(topology.modalities):
            raise ValueError(f"thresholds of {', '.join(thresholds)}")
        if not all(0 < value < 1 for value in thresholds.values()):
            raise ValueError(f"the thresholds, {list(thresholds.values())}, are no probabilities")
        network = filled(lambda: LesionNet(topology), load_file(weights), device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return LesionJudge(card, Segmenter(network, thresholds, smallest))


class Segmenter:
    """A network, and from which probability on a voxel counts as lesion.

    Parameters
    ----------
    thresholds : modality to probability; that of the first one that is given holds.  The
        less a study shows of lesions, the less sure the network is of any.
    smallest : voxels that a lesion has at least.
    """

    def __init__(self, network: LesionNet, thresholds: Mapping[str, float], smallest: int) -> None:
        self.network, self.thresholds, self.smallest = network, dict(thresholds), smallest

    def __call__(self, volumes: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
        """(X, Y, Z) bool: lesions; see `LesionNet.probability` for the parameter."""
        threshold = next(t for name, t in self.thresholds.items() if name in volumes)
        return without_specks(self.network.probability(volumes) >= threshold, self.smallest)


class LesionJudge:
    """A loaded `LesionNet`; gives volume and number of the lesions, and their map."""

    def __init__(self, card: ModelCard, segment: Segmenter) -> None:
        self.card = card
        self.segment = segment

    def read(self, prepared: PreparedStudy) -> Verdict:
        """Find the lesions; the same study, the same verdict.

        Raises
        ------
        UnusableStudy : there is none of the modalities that the judge reads.
        """
        names = self.segment.network.topology.modalities
        given = {name: prepared.volumes[name] for name in names if name in prepared.volumes}
        if not given:
            raise UnusableStudy(
                f"{self.card.name} reads {', '.join(names)}, and the study has none of them; "
                "add one"
            )
        found = self.segment(given) & prepared.mask
        voxel_ml = float(np.prod(prepared.grid.spacing)) / 1000
        readings = {"lesion_ml": float(found.sum()) * voxel_ml, "lesion_count": float(count(found))}
        return Verdict(readings, maps={self.card.outputs[0]: found.astype(np.uint8) * LESION})


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (inputs, outputs):
        layers += [
            nn.Conv2d(width, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.SiLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def _box(inside: NDArray[np.bool_], step: int) -> tuple[slice, slice]:
    """Where the brain is; sides are multiples of `step`, as those of the grid are."""
    cuts = []
    for axis in (0, 1):
        there = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))
        size = -(-(int(there[-1]) - int(there[0]) + 1) // step) * step
        first = min(int(there[0]), inside.shape[axis] - size)
        cuts.append(slice(first, first + size))
    return cuts[0], cuts[1]


def _runs(occupied: NDArray[np.bool_], most: int) -> Iterator[tuple[int, int]]:
    """From the first to the last slice with brain, at most `most` at a time."""
    there = np.flatnonzero(occupied)
    first, end = int(there[0]), int(there[-1]) + 1
    for start in range(first, end, most):
        yield start, min(start + most, end)


def _stacked(
    volumes: list[NDArray[np.float32] | None], box: tuple[slice, slice], first: int, last: int
) -> NDArray[np.float32]:
    """(last - first, modalities, 3, x, y): slices with both neighbours, 0 beyond the ends."""
    width, height = (cut.stop - cut.start for cut in box)
    out = np.zeros((last - first, len(volumes), PLANES, width, height), np.float32)
    for m, volume in enumerate(volumes):
        if volume is None:
            continue
        for k in range(first, last):
            for p, z in enumerate((k - 1, k, k + 1)):
                if 0 <= z < volume.shape[2]:
                    out[k - first, m, p] = np.clip(volume[box[0], box[1], z], 0, BRIGHTEST)
    return out
