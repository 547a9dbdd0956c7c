"""A quick look at a volume: only some blocks of its slices are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.exploration.caching import Caches
from napari_medsyn.exploration.planning import needed_slices, slab_axis
from napari_medsyn.models.family import ControlValues, Family, Region, Rendered
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.scans.preparation import PreparedStudy

#: Slices in a block: a plane that lies between two slices needs both.
BLOCK = 4


class ThinnedCaches(Caches):
    """Caches whose models compute one block of slices in `every`, and zeros elsewhere."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self._every = every

    def family(self, package: Path, card: ModelCard, device: str) -> Family:
        """The model, thinned if there is anything to leave out."""
        family = super().family(package, card, device)
        return family if self._every == 1 else ThinnedFamily(family, self._every)


class ThinnedFamily:
    """A family that renders some slices only."""

    def __init__(self, family: Family, every: int) -> None:
        self.card = family.card
        self._family, self._every = family, every
        self.condition, self.plan = family.condition, family.plan

    def render(self, conditioning: Any, controls: ControlValues, region: Region) -> Rendered:
        """The slices of chosen blocks; zeros for the others."""
        chosen = [i for i, k in enumerate(region.slices) if is_chosen(k, self._every)]
        shape = (*self.card.grid.shape[:2], len(region.slices))
        targets = tuple(controls["targets"])
        mean = {m: np.zeros(shape, np.float32) for m in targets}
        std = {m: np.zeros(shape, np.float32) for m in targets}
        if chosen:
            part = Region(tuple(region.slices[i] for i in chosen))
            rendered = self._family.render(conditioning, controls, part)
            for m in targets:
                mean[m][:, :, chosen] = rendered.mean[m]
                std[m][:, :, chosen] = rendered.std[m]
        return Rendered(region, mean, std)


def is_chosen(k: int, every: int) -> bool:
    """Whether slice `k` is computed."""
    return (k // BLOCK) % every == 0


def whole_planes(prepared: PreparedStudy, every: int) -> NDArray[np.bool_]:
    """Bool, broadcasts to the reference grid: planes made of computed slices only."""
    axis = slab_axis(prepared)
    start, stop = needed_slices(prepared, axis)
    whole = [
        all(is_chosen(k, every) for k in range(a, b)) for a, b in zip(start, stop, strict=True)
    ]
    shape = [1, 1, 1]
    shape[axis] = len(whole)
    return np.array(whole).reshape(shape)
