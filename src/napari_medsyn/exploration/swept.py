"""What a sweep is, and what comes of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.exploration.controls import checked
from napari_medsyn.scans.study import Scan

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard

#: More than this is refused before anything is computed, bytes: it would not fit in memory.
MOST_BYTES: Final = 8 * 2**30


@dataclass(frozen=True, slots=True)
class Sweep:
    """One control through several values, everything else as it is.

    Parameters
    ----------
    control : its name.
    values : at least two, in the order of the steps; None where it may be unknown.
    """

    control: str
    values: tuple[Any, ...]

    @classmethod
    def checked(cls, card: ModelCard, control: str, values: Sequence[Any]) -> Sweep:
        """A sweep that the card's control takes.

        Raises
        ------
        UnusableModel : there is no such control, it is not one that a sweep can go through,
            it does not take a value, or there are fewer than two.
        """
        taken = tuple(checked(card, control, value) for value in values)
        kind = next(one.kind for one in card.controls if one.name == control)
        if kind in ("modality_set", "latent"):
            raise UnusableModel(f"{card.name}: {control} has no single values to sweep through")
        if len(taken) < 2:
            raise UnusableModel(f"a sweep of {control} needs at least two values")
        return cls(control, taken)


@dataclass(frozen=True, eq=False, slots=True)
class Swept:
    """A finished sweep, on the grid of `reference`.

    Parameters
    ----------
    control, label, unit : name of the control, what the user reads, and the unit or "".
    values : of the control, one for each step.
    arrays : output name to (n, X, Y, Z) float32, n steps.
    provenance : JSON-able; `sweep` holds control and values, `controls` all the others.
    reference : the scan on whose grid the arrays are.
    """

    control: str
    label: str
    unit: str
    values: tuple[Any, ...]
    arrays: Mapping[str, NDArray[np.float32]]
    provenance: Mapping[str, Any]
    reference: Scan

    @property
    def axis_label(self) -> str:
        """Name of the axis of steps with its unit: "Age (years)"."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def value_text(self, step: int) -> str:
        """What step `step` stands at, with the control's name and unit: "Age 62 years"."""
        value = self.values[step]
        unit = "" if value is None else self.unit
        return f"{self.label} {shown(value)} {unit}".strip()


def shown(value: Any) -> str:
    """A value of a sweep without its unit: "62", "F", "unknown"."""
    if value is None:
        return "unknown"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def room_for(outputs: Sequence[str], shape: tuple[int, ...], steps: int) -> dict[str, Any]:
    """Arrays (steps, *shape) float32 for the outputs; memory is taken as they are filled.

    Raises
    ------
    UnusableStudy : they would not fit in memory.
    """
    needed = 4 * len(outputs) * steps * int(np.prod(shape))
    if needed > MOST_BYTES:
        raise UnusableStudy(
            f"a sweep of {steps} steps would take {needed / 2**30:.0f} GB; ask for fewer steps or "
            "fewer outputs"
        )
    try:
        return {name: np.empty((steps, *shape), np.float32) for name in outputs}
    except MemoryError as error:
        raise UnusableStudy(
            f"there is no memory for a sweep of {steps} steps ({needed / 2**30:.1f} GB); ask for "
            "fewer"
        ) from error
