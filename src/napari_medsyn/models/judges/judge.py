"""The contract that every judge keeps.

A judge is a small network that measures: a person's age, a volume, a lesion.  It is never
part of a generator's loss, so that its reading of a synthetic scan is evidence; its card
says whether it learnt from real scans or from simulated ones, as the generator may have.
Like a family of generators it holds one loaded model on one device and sees neither Qt nor
files; adding one means one module, one line in `families.JUDGES` and a card of kind "judge".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy


@dataclass(frozen=True, eq=False, slots=True)
class Verdict:
    """What a judge says of one study.

    Parameters
    ----------
    readings : name of each of the card's readings to its value, in the card's unit.
    spread : name to the standard deviation of the reading's error, in the same unit, for
        readings whose error is known.
    maps : name of each of the card's outputs to (X, Y, Z) on the judge's grid: uint8 codes
        where the card has a legend, else float32; 0 outside the brain.
    """

    readings: Mapping[str, float]
    spread: Mapping[str, float] = field(default_factory=dict)
    maps: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Judge(Protocol):
    """A loaded judge."""

    card: ModelCard

    def read(self, prepared: PreparedStudy) -> Verdict:
        """Measure a study that lies on the card's grid; the same study, the same verdict.

        Raises
        ------
        UnusableStudy : the study has too few of the card's inputs.
        """
