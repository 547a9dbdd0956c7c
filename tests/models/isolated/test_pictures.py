"""Pictures of a package as volumes on the card's grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.models.isolated._packages import HEIGHT, WIDTH, card_fields

from napari_medsyn.errors import EngineError
from napari_medsyn.models.isolated.pictures import (
    channels_last,
    layers_of,
    settle_range,
    volumes,
)
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.scans.pictures import to_picture

ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
RAMP = (ROWS * 10 + COLUMNS).astype(np.uint8)


def card(**changes: Any) -> ModelCard:
    files = [{"name": "code/weights.txt", "bytes": 1, "sha256": "0" * 64}]
    return ModelCard.model_validate(card_fields(files=files, **changes))


@pytest.mark.parametrize(
    "picture",
    [RAMP, RAMP[:, :, None], RAMP[None], np.stack([RAMP] * 3, -1), np.stack([RAMP] * 3)],
    ids=["HW", "HW1", "1HW", "HW3", "3HW"],
)
def test_a_picture_is_seen_as_it_was(picture: np.ndarray) -> None:
    given = volumes(card(), layers_of([picture]), [(0, 255)])["MG"]

    assert given.shape == (WIDTH, HEIGHT, 1)
    np.testing.assert_allclose(to_picture(given) * 255, RAMP, atol=1e-4)


def test_colour_becomes_brightness() -> None:
    pure = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pure[..., 1] = 255

    # Green's weight in Rec. ITU-R BT.601.
    assert volumes(card(), [pure], [(0, 255)])["MG"] == pytest.approx(0.587)


def test_a_fourth_channel_is_a_picture_of_its_own() -> None:
    mask = (COLUMNS > 2) * np.uint8(255)
    both = np.dstack([RAMP, RAMP, RAMP, mask])

    given = volumes(card(outputs=["ES", "mask"]), layers_of([both]), [(0, 255)] * 2)

    np.testing.assert_array_equal(to_picture(given["mask"]), COLUMNS > 2)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (RAMP, (0, 255)),
        (RAMP.astype(np.uint16) * 300, (0, 65535)),
        (RAMP > 3, (0, 1)),
        (RAMP / np.float32(50), (0, 1)),
        (RAMP / np.float32(50) - 1, (-1, 1)),
        (RAMP.astype(np.float32), (0, 255)),
    ],
)
def test_the_range_follows_from_type_and_spread(
    picture: np.ndarray, expected: tuple[float, float]
) -> None:
    assert settle_range(picture) == expected


def test_values_beyond_the_range_are_cut() -> None:
    wild = np.linspace(-1, 2, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH, 1)

    given = volumes(card(), [wild], [(0, 1)])["MG"]

    assert (given.min(), given.max()) == (0, 1)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros(7), "not a picture"),
        (np.zeros((2, 2, 2)), "not a picture"),
        (np.zeros((1, 2, 3, 4)), "not a picture"),
        (np.full((4, 6), np.nan), "NaN"),
        (np.full((4, 6), np.inf), "infinity"),
    ],
)
def test_what_is_no_picture_is_refused(picture: np.ndarray, reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        channels_last(picture)


def test_another_size_than_the_card_says_is_refused() -> None:
    with pytest.raises(EngineError, match="4 x 6 pixels where its card says 6 x 4"):
        volumes(card(), [np.zeros((6, 4, 1), np.uint8)], [(0, 255)])


def test_fewer_pictures_than_outputs_are_refused() -> None:
    with pytest.raises(EngineError, match="1 pictures where its card names ES, mask"):
        volumes(card(outputs=["ES", "mask"]), [RAMP[:, :, None]], [(0, 255)])
