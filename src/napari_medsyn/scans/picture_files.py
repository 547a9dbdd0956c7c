"""Grey pictures as PNG files that say of themselves what they are.

The marks are text chunks of the file (PNG Specification, Third Edition, section 11.3.3):
nothing is burnt into the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.atomic import whole_file
from napari_medsyn.scans.provenance import PURPOSE, label_text, to_json

if TYPE_CHECKING:
    from PIL.Image import Image

#: Chunk that marks a picture which a model has made; its text is "true".
MARK: Final = "SYNTHETIC"

#: Longest side that is read, in pixels: no picture of ours is larger.
_LARGEST: Final = 1 << 13

#: Characters of a chunk's name (PNG, section 11.3.3.2).
_LONGEST_NAME: Final = 79


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """A grey picture and what its file says of it.

    Parameters
    ----------
    pixels : (H, W) uint8 or uint16, row 0 on top.
    marks : name of a text chunk to its text.
    """

    pixels: NDArray[Any]
    marks: Mapping[str, str]

    @property
    def is_synthetic(self) -> bool:
        """Whether the file says that a model has made it."""
        return self.marks.get(MARK) == "true"


def grey(image: NDArray[np.float32], bits: int = 8) -> NDArray[Any]:
    """A picture (H, W) of 0 dark to 1 bright in whole numbers; what is beyond is cut off.

    Parameters
    ----------
    image : real numbers; not-a-number becomes 0.
    bits : 8 gives uint8, 0 to 255; 16 gives uint16, 0 to 65535.
    """
    most = (1 << bits) - 1
    scaled = np.clip(np.nan_to_num(image, nan=0.0), 0, 1) * np.float64(most)
    return np.rint(scaled).astype(np.uint16 if bits > 8 else np.uint8)


def marks_of(provenance: Mapping[str, Any], modality: str = "") -> dict[str, str]:
    """Text chunks for a synthetic picture: one for each key of its provenance.

    Text stands as it is, everything else as JSON.
    """
    texts = {
        key: value if isinstance(value, str) else to_json(value)
        for key, value in provenance.items()
    }
    # "Description" and "Disclaimer" are the names that viewers know.
    return {
        MARK: "true",
        "Description": label_text(provenance, modality),
        "Disclaimer": PURPOSE,
        **{key: text for key, text in texts.items() if key != MARK},
    }


def write_picture(
    path: Path, pixels: NDArray[Any], marks: Mapping[str, str], *, overwrite: bool = False
) -> Path:
    """Write a grey picture, whole or not at all; give its path.

    Parameters
    ----------
    path : a file ending in .png.
    pixels : (H, W) uint8 or uint16, row 0 on top.
    marks : name of a text chunk, at most 79 Latin letters, to its text.
    overwrite : whether an existing file may be replaced.

    Raises
    ------
    UnusableFile : the file exists or cannot be written.
    ValueError : `pixels` or a name is of another kind.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels {pixels.dtype} {pixels.shape} must be (H, W) uint8 or uint16")
    chunks = PngInfo()
    for name, text in marks.items():
        if not 0 < len(name) <= _LONGEST_NAME or not name.isascii():
            raise ValueError(f"{name!r} cannot name a text chunk of a PNG file")
        if text.isascii():
            chunks.add_text(name, text)
        else:
            chunks.add_itxt(name, text)
    with whole_file(path, overwrite=overwrite) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, "PNG", pnginfo=chunks)
    return path


def read_picture(path: Path) -> Picture:
    """Read a grey PNG file with its text chunks.

    Raises
    ------
    UnusableFile : it is no PNG file, is not grey, is damaged, or is too large.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("PNG",)) as image:
            _check(path, image)
            pixels = np.asarray(image)
            # Chunks may stand behind the pixels, so these are read first.
            texts = getattr(image, "text", {})
            marks = {str(name): str(text) for name, text in texts.items()}
    except UnidentifiedImageError as error:
        raise UnusableFile(path, "no PNG file") from error
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        # What Pillow raises depends on where the damage is.
        reason = getattr(error, "strerror", None) or f"damaged or cut short ({error})"
        raise UnusableFile(path, f"cannot be read: {reason}") from error
    return Picture(pixels.astype(np.uint8 if pixels.itemsize == 1 else np.uint16), marks)


def _check(path: Path, image: Image) -> None:
    """Refuse what is no grey picture of a sensible size, before memory is asked for."""
    if image.mode not in ("L", "I;16", "I;16B", "I"):
        raise UnusableFile(path, f"not a grey picture of 8 or 16 bits (its mode is {image.mode})")
    if max(image.size) > _LARGEST:
        raise _too_large(path)


def _too_large(path: Path) -> UnusableFile:
    return UnusableFile(path, f"larger than {_LARGEST} pixels along a side")
