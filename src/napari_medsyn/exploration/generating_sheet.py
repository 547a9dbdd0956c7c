"""A contact sheet: all samples of a run in one picture, marked in its border."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.exploration.generating_samples import Sample
from napari_medsyn.scans.display import display_order
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.picture_files import grey, marks_of, write_picture
from napari_medsyn.scans.provenance import label_text

#: Most samples on a sheet: more than these nobody tells apart.
MOST: Final = 100

#: Longest side of one image, in pixels.
TILE: Final = 256
#: Most columns of one sample, whose images stand side by side: ten samples make a row.
WIDEST: Final = 2 * TILE

_GAP: Final = 4
_BORDER: Final = 24
#: Wide enough for a short mark.
_LEAST_WIDTH: Final = 480
_PAPER: Final = 24
_INK: Final = 255


class Sheet:
    """Small pictures of the first samples, in rows.

    Parameters
    ----------
    n : how many samples there will be; only the first `MOST` are shown.
    """

    def __init__(self, n: int) -> None:
        self._columns = math.ceil(math.sqrt(min(n, MOST)))
        self._total = n
        self._tiles: list[NDArray[Any]] = []

    def add(self, sample: Sample) -> None:
        """Show one more sample: the middle axial slice of each image, side by side."""
        if len(self._tiles) < MOST:
            grid = sample.reference.grid
            side = max(1, min(TILE, WIDEST // len(sample.images)))
            pictures = [_middle(image, grid, side) for image in sample.images.values()]
            self._tiles.append(np.concatenate([grey(picture) for picture in pictures], axis=1))

    def pixels(self, text: str) -> NDArray[np.uint8]:
        """The sheet, (H, W) uint8, with `text` in the border above and below."""
        from PIL import Image, ImageDraw

        height, width = self._tiles[0].shape
        rows = math.ceil(len(self._tiles) / self._columns)
        inner = (rows * (height + _GAP) + _GAP, self._columns * (width + _GAP) + _GAP)
        # One small picture is narrower than what has to be said of it.
        written = math.ceil(ImageDraw.Draw(Image.new("L", (1, 1))).textlength(text))
        columns = max(inner[1], _LEAST_WIDTH, written + 2 * _GAP)
        paper = np.full((inner[0] + 2 * _BORDER, columns), _PAPER, np.uint8)
        for number, tile in enumerate(self._tiles):
            row, column = divmod(number, self._columns)
            top = _BORDER + _GAP + row * (height + _GAP)
            left = _GAP + column * (width + _GAP)
            paper[top : top + height, left : left + width] = tile
        image = Image.fromarray(paper)
        draw = ImageDraw.Draw(image)
        for y in (_BORDER // 2, paper.shape[0] - _BORDER // 2):
            draw.text((_GAP, y), text, fill=_INK, anchor="lm")
        return np.asarray(image)

    def write(self, path: Path, provenance: Mapping[str, Any], *, overwrite: bool = False) -> Path:
        """Write the sheet as a PNG file that is marked in its border and its text chunks.

        Parameters
        ----------
        provenance : of the first sample.

        Raises
        ------
        UnusableFile : the file exists, or cannot be written.
        """
        shown = len(self._tiles)
        count = f"{shown} of {self._total} samples" if shown < self._total else f"n = {shown}"
        text = label_text({**provenance, "seed": f"{provenance['seed']} ff."})
        return write_picture(
            path,
            self.pixels(f"{text} · {count}"),
            marks_of({**provenance, "shows": count}),
            overwrite=overwrite,
        )


def _middle(image: NDArray[np.float32], grid: Grid, side: int) -> NDArray[np.float32]:
    """The middle axial slice of (X, Y, Z) as radiologists see it, in square pixels.

    `side`: the most pixels along either side.
    """
    from PIL import Image

    order = display_order(grid)
    shown = order.to_display(image)
    picture = np.ascontiguousarray(shown[shown.shape[0] // 2], dtype=np.float32)
    lengths = order.scale[1:] * picture.shape
    pixel = max(order.scale[1:].min(), lengths.max() / side)
    height, width = (max(1, round(length / pixel)) for length in lengths)
    # The mean over each new pixel; where these are smaller, the nearest voxel.
    small = Image.fromarray(picture).resize((width, height), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)
