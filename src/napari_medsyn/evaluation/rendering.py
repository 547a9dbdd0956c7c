"""A loaded model with what it is given, to be rendered again and again with other controls."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import Cancelled
from napari_medsyn.models.family import ControlValues, Family

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy

#: Most slices that are rendered of a patient: each costs.
FEW = 2


class OutOfTime(Cancelled):
    """The time that was allowed has passed."""


@dataclass(frozen=True, eq=False, slots=True)
class Rendering:
    """What a model gave.

    Parameters
    ----------
    mean, std : modality to (X, Y, n) float32, as in `models.family.Rendered`.
    seconds : how long it took.
    longest : how long the longest region of it took, in seconds.
    """

    mean: Mapping[str, NDArray[np.float32]]
    std: Mapping[str, NDArray[np.float32]]
    seconds: float
    longest: float

    def distance(self, other: Rendering) -> float:
        """The largest absolute difference to `other`, of means and spreads; NaN is infinite."""
        largest = 0.0
        for ours, theirs in ((self.mean, other.mean), (self.std, other.std)):
            if set(ours) != set(theirs):
                return float("inf")
            for name, values in ours.items():
                if values.shape != theirs[name].shape:
                    return float("inf")
                difference = float(np.abs(values - theirs[name]).max(initial=0))
                largest = max(largest, float("inf") if np.isnan(difference) else difference)
        return largest


@dataclass(frozen=True, eq=False, slots=True)
class Subject:
    """A loaded model with what it is given.

    Parameters
    ----------
    card : of the model.
    family : the model.
    study : what it reads, on its grid; None for a model that reads nothing.
    controls : a value for each control, the modality sets included.
    deadline : by `time.monotonic()`, after which nothing more is rendered.
    """

    card: ModelCard
    family: Family
    study: PreparedStudy | None
    controls: ControlValues
    deadline: float = float("inf")

    @property
    def slices(self) -> tuple[int, ...]:
        """What is worth looking at: all slices, or of a patient those with most inside."""
        depth = self.card.grid.shape[2]
        if self.study is None:
            return tuple(range(depth))
        inside = self.study.mask.sum(axis=(0, 1))
        return tuple(sorted(int(k) for k in np.argsort(inside, kind="stable")[-FEW:]))

    def render(
        self, changes: Mapping[str, Any] | None = None, slices: Sequence[int] | None = None
    ) -> Rendering:
        """Render `slices` (by default those of the subject) with some controls changed.

        Raises
        ------
        OutOfTime : the deadline has passed; looked at before each region.
        """
        wanted = tuple(self.slices if slices is None else slices)
        values = {**self.controls, **(changes or {})}
        started, longest = time.monotonic(), 0.0
        conditioning = self.family.condition(self.study, values)
        parts = []
        for region in self.family.plan((), wanted, values):
            before = time.monotonic()
            if before > self.deadline:
                raise OutOfTime("the time allowed for the test has passed")
            rendered = self.family.render(conditioning, values, region)
            longest = max(longest, time.monotonic() - before)
            if region.slices:
                parts.append((region.slices, rendered))
        mean = _joined(wanted, [(numbers, part.mean) for numbers, part in parts])
        std = _joined(wanted, [(numbers, part.std) for numbers, part in parts])
        return Rendering(mean, std, time.monotonic() - started, longest)


def _joined(
    wanted: Sequence[int],
    parts: Sequence[tuple[tuple[int, ...], Mapping[str, NDArray[np.float32]]]],
) -> dict[str, NDArray[np.float32]]:
    """Modality to the slices of all regions, in the order `wanted`."""
    joined = {}
    for name in {name: None for _, volumes in parts for name in volumes}:
        planes = {
            number: volumes[name][:, :, place]
            for numbers, volumes in parts
            if name in volumes
            for place, number in enumerate(numbers)
        }
        joined[name] = np.stack([planes[k] for k in wanted if k in planes], axis=2)
    return joined
