"""What a package gives as pictures, as volumes of a card's grid.

Nothing is guessed per picture: which numbers mean dark and bright is settled once, or two
positions of one slider would be shown on two scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import EngineError
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.scans.pictures import to_grid

#: Weights of red, green and blue in brightness; Rec. ITU-R BT.601-7, section 2.5.1.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Range = tuple[float, float]


def channels_last(picture: NDArray[Any]) -> NDArray[Any]:
    """A picture as (H, W, C) with C 1, 3 or 4.

    Raises
    ------
    EngineError : it has another shape, or holds NaN or infinity.
    """
    if picture.ndim == 2:
        picture = picture[:, :, np.newaxis]
    # The last axis first: a strip three pixels high is rarer than a picture in colour.
    elif picture.ndim == 3 and picture.shape[2] not in (1, 3, 4) and picture.shape[0] in (1, 3, 4):
        picture = picture.transpose(1, 2, 0)
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4):
        raise EngineError(
            f"The package gave an array of shape {picture.shape}, which is not a picture."
        )
    if picture.dtype.kind == "f" and not np.isfinite(picture).all():
        raise EngineError("The package gave a picture that holds NaN or infinity.")
    return picture


def settle_range(picture: NDArray[Any]) -> Range:
    """Which numbers stand for dark and bright, by the type and the spread of a picture.

    Bytes and wider whole numbers have the range of a byte or of 16 bits, truth values 0
    to 1.  Real numbers that stay within 0 to 1 or −1 to 1 have that range, others that of
    a byte, which is medigan's habit.
    """
    kind = picture.dtype
    if kind.kind == "b":
        return 0.0, 1.0
    lowest, highest = float(picture.min(initial=0)), float(picture.max(initial=0))
    if kind.kind in "iu":
        return 0.0, (255.0 if highest <= 255 else 65535.0)
    if lowest >= 0 and highest <= 1:
        return 0.0, 1.0
    if lowest >= -1 and highest <= 1:
        return -1.0, 1.0
    return 0.0, 255.0


def volumes(
    card: ModelCard, pictures: Sequence[NDArray[Any]], ranges: Sequence[Range]
) -> dict[str, NDArray[np.float32]]:
    """The card's outputs from a package's pictures, in order.

    Colour becomes brightness; the fourth channel of a picture is the one after it.

    Parameters
    ----------
    card : names the outputs and gives the shape, (W, H, 1).
    pictures : as `layers_of` gives them.
    ranges : of each of them.

    Returns
    -------
    Output to (W, H, 1) float32, 0 to 1.

    Raises
    ------
    EngineError : there are fewer pictures than outputs, or they have another shape.
    """
    if len(pictures) < len(card.outputs):
        raise EngineError(
            f"The package gave {len(pictures)} pictures where its card names "
            f"{', '.join(card.outputs)}."
        )
    width, height = card.grid.shape[:2]
    given = {}
    for name, picture, (dark, bright) in zip(card.outputs, pictures, ranges, strict=False):
        if picture.shape[:2] != (height, width):
            raise EngineError(
                f"The package gave a picture of {picture.shape[1]} x {picture.shape[0]} pixels "
                f"where its card says {width} x {height}."
            )
        scaled = (picture.astype(np.float32) - np.float32(dark)) / np.float32(bright - dark)
        grey = scaled[:, :, 0] if scaled.shape[2] == 1 else scaled @ LUMA
        given[name] = to_grid(np.clip(grey, 0, 1))
    return given


def layers_of(pictures: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Pictures as (H, W, 1) or (H, W, 3): the fourth channel, a mask, apart."""
    layers = []
    for picture in map(channels_last, pictures):
        layers += [picture] if picture.shape[2] < 4 else [picture[:, :, :3], picture[:, :, 3:]]
    return layers
