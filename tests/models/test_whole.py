"""Families that make a whole image in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from tests._fakes import card_values

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.family import Region
from napari_medsyn.models.whole import WholeImageFamily
from napari_medsyn.registry.card import ModelCard


class Counter(WholeImageFamily):
    """Gives its seed, and counts how often it is asked."""

    asked = 0

    def draw(self, controls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        self.asked += len(controls)
        return [{"T1": np.full((2, 2, 3), values["seed"], np.float32)} for values in controls]


def card(**changes: Any) -> ModelCard:
    return ModelCard.model_validate(card_values(**changes))


def test_a_card_that_claims_to_read_scans_is_refused() -> None:
    with pytest.raises(UnusableModel, match="read no scan, so the card's inputs must be empty"):
        Counter(card())


def test_slices_of_the_same_image_are_drawn_once() -> None:
    family = Counter(card(inputs=[], min_inputs=0))
    place = family.condition(None, {"seed": 4})
    for k in range(3):
        rendered = family.render(place, {"seed": 4}, Region((k,)))
        assert rendered.mean["T1"].shape == (2, 2, 1)
    assert family.asked == 1
    assert family.render(place, {"seed": 5}, Region((0,))).mean["T1"].max() == 5
    assert family.asked == 2
