"""What every reader does with what it read: check it, or refuse it in one sentence.

The readers of the single formats hand over raw voxels and an affine; here they
become a `Scan`, or an `UnusableFile` that says why not.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.geometry import Affine, is_singular
from napari_medsyn.scans.modality import guess_modality
from napari_medsyn.scans.study import Scan

_FILTERS = threading.RLock()


@contextmanager
def refusing(path: Path, action: str) -> Iterator[None]:
    """Turn whatever a parser raises into `UnusableFile(path, "{action}: …")`.

    Damaged files make the format libraries raise nearly every type there is (KeyError,
    struct.error, zlib.error, RuntimeError, …), so the type says nothing here: that the
    library could not read the file is the whole of the news.
    """
    try:
        # What a library thinks of a header is either a reason to refuse, and then
        # raised, or of no interest to the user.  The filters belong to the whole
        # process: two threads that save and restore them at once would mix them up.
        with _FILTERS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnusableFile:
        raise
    except MemoryError as error:
        raise UnusableFile(path, f"{action}: it does not fit into memory") from error
    except (EOFError, IndexError) as error:
        raise UnusableFile(path, f"{action}: the file is damaged or ends too early") from error
    except Exception as error:
        raise UnusableFile(path, f"{action}: {first_sentence(error)}") from error


def first_sentence(error: BaseException, limit: int = 160) -> str:
    """The first line of an error's text, at most `limit` characters, without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    text = text.split(" - ")[0]  # the rest explains the library's options
    return (text if len(text) <= limit else f"{text[: limit - 1]}…").rstrip(".:")


def checked_scan(
    path: Path,
    voxels: NDArray[Any],
    affine: Affine,
    *,
    name: str,
    facts: Mapping[str, Any],
    notes: tuple[str, ...] = (),
    is_synthetic: bool = False,
) -> Scan:
    """A scan of what was read from `path`, or `UnusableFile` if it is none.

    Trailing axes of length 1 are dropped, the byte order becomes the machine's,
    infinite and missing values become 0 with a note.  `notes` and the ones made here
    end in ``facts["notes"]``; the modality is guessed from `name` and `facts`.
    """
    voxels = _three_axes(path, _real_numbers(path, voxels))
    _check_affine(path, affine)
    voxels, replaced = _finite(path, voxels)
    if not is_synthetic and voxels.min() == voxels.max():
        # Ours may be: the uncertainty of a mean path is zero everywhere.
        raise UnusableFile(path, f"every voxel has the same value, {voxels.flat[0]}")
    if 1 in voxels.shape:
        notes = (*notes, "only one slice")
    return Scan(
        voxels=voxels,
        affine=affine + 0.0,  # no negative zeros: they are other bytes, so another content hash
        modality=guess_modality(name, facts),
        name=name,
        source=path,
        is_synthetic=is_synthetic,
        facts={**facts, "notes": (*notes, *replaced)},
    )


def storable_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The nearest type that every file format and library here knows, in native byte order."""
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)
    return dtype.newbyteorder("=")


def _real_numbers(path: Path, voxels: NDArray[Any]) -> NDArray[Any]:
    if voxels.dtype.names or voxels.dtype.kind == "V":
        raise UnusableFile(path, "a colour image (RGB); a scan has one value per voxel")
    if voxels.dtype.kind == "c":
        raise UnusableFile(path, "complex values; save the magnitude as an image of its own")
    if voxels.dtype.kind not in "biuf":
        raise UnusableFile(path, f"voxels of type {voxels.dtype}, which are not numbers")
    return voxels.astype(storable_type(voxels.dtype), copy=False)


def _three_axes(path: Path, voxels: NDArray[Any]) -> NDArray[Any]:
    shape = voxels.shape
    if 0 in shape:
        raise UnusableFile(path, f"an image without voxels, of shape {shape}")
    if len(shape) < 2:
        raise UnusableFile(path, f"an array of shape {shape} is not an image")
    if any(size > 1 for size in shape[3:]):
        raise UnusableFile(
            path,
            f"{len(shape)}-D with shape {' × '.join(map(str, shape))}; a scan is one 3-D volume, "
            "so save the one you need as a file of its own",
        )
    return voxels.reshape((*shape, 1)[:3] if len(shape) == 2 else shape[:3], order="A")


def _check_affine(path: Path, affine: Affine) -> None:
    if not np.isfinite(affine).all():
        raise UnusableFile(path, "its affine holds infinite or missing numbers")
    if is_singular(affine):
        raise UnusableFile(
            path, "its affine is singular: two axes of the image point the same way in the patient"
        )


def _finite(path: Path, voxels: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    if voxels.dtype.kind != "f":
        return voxels, ()
    bad = ~np.isfinite(voxels)
    count = int(bad.sum())
    if count == voxels.size:
        raise UnusableFile(path, "no voxel has a finite value")
    if not count:
        return voxels, ()
    voxels = voxels.copy(order="K")
    voxels[bad] = 0
    return voxels, (f"{count} voxels without a finite value were set to 0",)
