"""The real multi-modal scans on the 1 mm model grid, by person and visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.grids import GRID_SHAPE, MODALITIES
from training.data.sources import Arrays, open_source
from training.data.splits import Part, people

#: The sets with several modalities; of "ms" one person has scans, the others masks only.
SCANNED = ("ms-07",)
PERCENTILE = 99.5
BRIGHTEST = 1.5


@dataclass(frozen=True, eq=False)
class Visit:
    """One person's scans at one time on the model grid.

    Parameters
    ----------
    person : who ("msv-01"); a person is in one part only, at all visits.
    name : person and visit ("msv-01_visit1").
    images : (4, Z, X, Y) float16 in the order of `MODALITIES`, normalised: 0 background,
        1 the 99.5th percentile of the brain, at most 1.5; zeros where missing.
    present : (4,) bool, which of `MODALITIES` there are.
    mask : (Z, X, Y) bool, brain.
    lesions : (Z, X, Y) bool, all white-matter lesions at this visit (consensus of three
        raters, Lesjak et al. 2017); None where nobody has drawn them.
    lesion_change : (Z, X, Y) bool, where lesions changed *between the two visits* of this
        person (Lesjak et al. 2016).  Not all lesions: most of them did not change, so
        the complement is no ground truth of healthy tissue.  None where there is none.
    """

    person: str
    name: str
    images: Tensor
    present: Tensor
    mask: Tensor
    lesions: Tensor | None = None
    lesion_change: Tensor | None = None


def load_visits(
    data: Path, *, parts: Sequence[Part] = ("train",), cache: Path | None = None
) -> list[Visit]:
    """All multi-modal visits of the people in `parts`, the glioma registered to MNI.

    Parameters
    ----------
    data : the shared data folder, or a packed file, whose intensities are rounded
        (`training.data.packing`): no reference to measure an error against.
    parts : of the committed splits.
    cache : folder for the registered glioma, which takes a minute to make; ``runs/data`` of
        the repository where None.

    Raises
    ------
    UnusableFile
        A file of somebody in `parts` is missing or damaged.
    """
    source = open_source(data, cache)
    wanted = [p for p in people("ms", *parts) if p in SCANNED]
    wanted += [*people("msv", *parts), *people("glioma", *parts)]
    names = ((person, name) for person in wanted for name in source.visits(person))
    return [_visit(person, name, source.record(name)) for person, name in names]


def normalise(volume: NDArray[np.generic], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """0 background, 1 the 99.5th percentile of the brain; clipped at 1.5.

    Parameters
    ----------
    volume : (X, Y, Z), any unit; 0 is nothing.
    mask : (X, Y, Z) bool, brain; at least one voxel.
    """
    values = np.asarray(volume, np.float32)
    high = float(np.percentile(values[mask], PERCENTILE))
    return np.clip(values / high, 0, BRIGHTEST) * mask  # type: ignore[no-any-return]


def _visit(person: str, name: str, arrays: Arrays) -> Visit:
    mask = arrays["brain"]
    images = np.zeros((len(MODALITIES), *GRID_SHAPE), np.float16)
    for m, modality in enumerate(MODALITIES):
        if modality in arrays:
            images[m] = normalise(arrays[modality], mask)
    present = torch.tensor([modality in arrays for modality in MODALITIES])
    return Visit(
        person,
        name.removeprefix("visits/"),
        torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))),
        present,
        _slices(mask),
        _slices(arrays["lesion"]) if "lesion" in arrays else None,
        _slices(arrays["lesion_change"]) if "lesion_change" in arrays else None,
    )


def _slices(mask: NDArray[np.bool_]) -> Tensor:
    """(Z, X, Y) of (X, Y, Z), contiguous by slice."""
    return torch.from_numpy(np.ascontiguousarray(mask.transpose(2, 0, 1)))
