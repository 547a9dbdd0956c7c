"""Families that make a whole image in one go, out of the controls alone.

Most generators (GANs, decoders of VAEs) have nothing to encode and no slices to choose
from: one forward pass gives everything.  Such a family says how, by `draw`; the rest of
the contract is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.family import ControlValues, Region, Rendered

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy

#: Modality to (X, Y, Z) float32 on the model's grid, 0 dark to 1 bright.
Images = Mapping[str, NDArray[np.float32]]


class WholeImageFamily(ABC):
    """Base of the families that give all slices at once.

    Parameters
    ----------
    card : of the model; its grid's shape is that of what `draw` gives.

    Raises
    ------
    UnusableModel : the card says that the model reads scans.  None is ever looked at here, and
        an image of nobody must not pass for an imputation of the patient.
    """

    def __init__(self, card: ModelCard) -> None:
        if card.inputs:
            raise UnusableModel(
                f"{card.id}: models of the family {card.family} read no scan, so the card's inputs "
                "must be empty and min_inputs 0"
            )
        self.card = card

    @abstractmethod
    def draw(self, controls: Sequence[ControlValues]) -> Sequence[Images]:
        """One set of images for each of `controls`, in one batch where memory allows."""

    def condition(self, study: PreparedStudy | None, controls: ControlValues) -> dict[str, Any]:
        """Nothing to encode: an empty place for the images of the last controls."""
        del study, controls
        return {}

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: ControlValues
    ) -> Sequence[Region]:
        """All slices at once: the first costs as much as all."""
        del first, controls
        return [Region(tuple(slices))]

    def render(self, conditioning: Any, controls: ControlValues, region: Region) -> Rendered:
        """Draw the images unless they were drawn for these controls, and cut slices out."""
        key = _key(controls)
        if conditioning.get("key") != key:
            conditioning["images"] = self.draw([controls])[0]
            conditioning["key"] = key
        images: Images = conditioning["images"]
        chosen = list(region.slices)
        return Rendered(region, {name: image[:, :, chosen] for name, image in images.items()})


def _key(controls: ControlValues) -> str:
    return repr(sorted(controls.items()))
