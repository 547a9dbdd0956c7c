"""A sweep as an animation of one plane, marked in every frame.

A GIF file goes from hand to hand without its sidecar, so that what it is has to be seen in it:
the word SYNTHETIC, the value of the control and the purpose are part of each picture.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile, UnusableStudy
from napari_medsyn.exploration.swept import Swept
from napari_medsyn.scans.atomic import whole_file
from napari_medsyn.scans.display import display_order
from napari_medsyn.scans.provenance import PURPOSE, label_text

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

Plane = NDArray[np.float32]
Colours = NDArray[np.uint8]

#: How long a step is shown, and the last one, before it begins anew; milliseconds.
STEP_MS: Final = 250
LAST_MS: Final = 1000

#: Kinds of output whose zero means no change: coloured blue below and red above it.
SIGNED: Final = ("difference", "jacobian")

#: The longer side of the picture, pixels.
_SIDE: Final = 512
_TEXT: Final = 14
_BORDER: Final = 26
_GAP: Final = 6
_PAPER: Final = 24
_INK: Final = (255, 255, 255)


def animate(
    swept: Swept, path: Path, output: str, axis: int, index: int, *, overwrite: bool = True
) -> Path:
    """Write a plane of a sweep as an endless GIF animation, a frame for each step.

    The plane is shown as radiologists see it, in square pixels.  An image goes from the
    lowest value to the 99.5th percentile of the plane in all steps, a difference to the same
    limit on either side of zero.

    Parameters
    ----------
    swept : a finished sweep.
    path : a file that ends in .gif.
    output : which of its outputs.
    axis, index : the plane, on the grid of `swept.reference`.
    overwrite : whether an existing file may be replaced.

    Returns
    -------
    `path`.

    Raises
    ------
    UnusableStudy : the sweep has no such output or plane.
    UnusableFile : `path` has another ending or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise UnusableFile(path, "an animation is a GIF file; give it the ending .gif")
    planes = _planes(swept, output, axis, index)
    kind, _, modality = output.partition("_")
    limit = _limit(planes) if kind in SIGNED else None
    pictures = _grey(planes) if limit is None else _signed(planes, limit)
    # A hyphen: Pillow's font has no minus sign.
    scale = "" if limit is None else f" · blue -{limit:.3g} to red {limit:.3g}"
    mark = label_text(swept.provenance, modality)
    said = [f"{_title(kind)} · {swept.value_text(step)}{scale}" for step in range(len(planes))]
    # As wide in each frame as the widest text needs.
    width = max([pictures[0].shape[1], *(_length(text) + 2 * _GAP for text in (mark, *said))])
    frames = [_framed(*both, mark, width) for both in zip(pictures, said, strict=True)]
    with whole_file(path, overwrite=overwrite) as temporary:
        frames[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=[*[STEP_MS] * (len(frames) - 1), LAST_MS],
            loop=0,
            comment=f"SYNTHETIC; {PURPOSE}".encode("ascii"),
        )
    return path


def _planes(swept: Swept, output: str, axis: int, index: int) -> list[Plane]:
    """The plane at each step, (H, W) float32 in square pixels, head or face up."""
    if output not in swept.arrays:
        raise UnusableStudy(f"the sweep has no {output}; it has {', '.join(swept.arrays)}")
    shape = swept.reference.voxels.shape
    if axis not in (0, 1, 2) or not 0 <= index < shape[axis]:
        raise UnusableStudy(f"there is no plane {index} across axis {axis} of a scan of {shape}")
    order = display_order(swept.reference.grid)
    across, place = order.to_display_plane(axis, index)
    shown = [np.take(order.to_display(step), place, across) for step in swept.arrays[output]]
    if across != 0:
        # Rows of coronal and sagittal planes grow to the head, and pictures downwards.
        shown = [plane[::-1] for plane in shown]
    scale = np.delete(order.scale, across)
    return [_square(plane, scale) for plane in shown]


def _square(plane: Plane, scale: NDArray[np.float64]) -> Plane:
    """`plane` of voxels of `scale` (rows, columns) mm in square pixels, of a size to be seen."""
    from PIL import Image

    lengths = scale * plane.shape
    height, width = (max(1, round(length)) for length in lengths * _SIDE / lengths.max())
    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), np.float32)


def _grey(planes: list[Plane]) -> list[Colours]:
    """(H, W, 3) grey, under one window for all."""
    low = min(float(plane.min()) for plane in planes)
    high = float(np.percentile(np.stack(planes), 99.5))
    scaled = [np.clip((plane - low) / max(high - low, 1e-12), 0, 1) for plane in planes]
    return [np.repeat((255 * plane)[..., None], 3, axis=-1).astype(np.uint8) for plane in scaled]


def _limit(planes: list[Plane]) -> float:
    """What is coloured fully on either side of zero: little in any step goes beyond it."""
    return max(float(np.percentile(np.abs(np.stack(planes)), 99.5)), 1e-12)


def _signed(planes: list[Plane], limit: float) -> list[Colours]:
    """(H, W, 3): black at zero, blue down to -limit and red up to limit."""
    pictures = []
    for plane in planes:
        share = np.clip(plane / limit, -1, 1)[..., None]
        red, blue = np.array([255, 80, 40]), np.array([60, 120, 255])
        pictures.append(np.where(share > 0, share * red, -share * blue).astype(np.uint8))
    return pictures


def _framed(picture: Colours, said: str, mark: str, width: int) -> Image:
    """One frame: the mark above, the picture, what it shows below."""
    from PIL import Image, ImageDraw

    height, columns, _ = picture.shape
    paper = np.full((height + 2 * _BORDER, width, 3), _PAPER, np.uint8)
    left = (width - columns) // 2
    paper[_BORDER : _BORDER + height, left : left + columns] = picture
    frame = Image.fromarray(paper)
    draw = ImageDraw.Draw(frame)
    for text, y in ((mark, _BORDER // 2), (said, height + _BORDER + _BORDER // 2)):
        draw.text((_GAP, y), text, fill=_INK, font=_font(), anchor="lm")
    return frame


def _length(text: str) -> int:
    return math.ceil(_font().getlength(text))


def _font() -> FreeTypeFont | ImageFont:
    from PIL import ImageFont as fonts

    return fonts.load_default(_TEXT)


def _title(kind: str) -> str:
    return "Logarithm of the Jacobian" if kind == "jacobian" else kind.capitalize()
