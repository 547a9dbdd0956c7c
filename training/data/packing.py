"""All that training reads in one file, to be taken to another machine with one copy.

A packed file is a zip whose members are read into memory by name, never unpacked to disk:
``manifest.json``, and for every record its images (`training.data.coding`), labels and
masks (LZMA).

Intensities are rounded to `STEPS` on the way, so by half a step at most, are 0 where they
were negative, and 0 outside the brain; the manifest notes the step of every image.  All
else is that of the shared folder exactly: labels, masks, ages, volumes, and the bias
fields, which are estimated before anything is rounded.  References that an error is
measured against must come from the folder.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.atomic import whole_file
from training.data.bias import estimate_all
from training.data.coding import Damaged, decode, encode, expand, shrink
from training.data.grids import MODALITIES
from training.data.multimodal import SCANNED
from training.data.released import SharedFolder
from training.data.sources import Arrays, rows_kept
from training.data.splits import people

FORMAT = "medsyn-training-data"
VERSION = 2
#: Arrays that are images, foretold from neighbours within the record's array ``brain``, and
#: what their intensities are rounded to, for else the file would miss its 50 MB: in visits 16
#: of about 1000 (released in steps of 4), in healthy people 4 of 240 (in steps of 2).
STEPS = {**dict.fromkeys(MODALITIES, 16), "t1": 4}
#: Small arrays with a row for each person.
BY_PERSON = ("people", "age", "sex", "ventricle_ml", "head_scale", "volume_ml", "bias")
#: No array of ours is larger; a hostile manifest must not fill the memory.
LARGEST_BYTES = 1 << 28
LARGEST_MANIFEST = 1 << 22


def pack(data: Path, out: Path, cache: Path, tell: Callable[[str], None]) -> None:
    """Write everybody's records from the shared data folder to the file `out`.

    Parameters
    ----------
    data : the shared data folder.
    out : the file; one that is there is replaced.
    cache : folder for the registered glioma and the bias fields.
    tell : given a line for each record.

    Raises
    ------
    UnusableFile
        Something is missing in `data`, or `out` cannot be written.
    """
    source = SharedFolder(data, cache)
    scanned = [*SCANNED, *people("msv"), *people("glioma")]
    visits = {person: source.visits(person) for person in scanned}
    records: dict[str, Any] = {}
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out, overwrite=True) as temporary, zipfile.ZipFile(temporary, "w") as file:
        for name in [*(v for names in visits.values() for v in names), "healthy", "label_maps",
                     "lesions"]:  # fmt: skip
            arrays = source.record(name)
            if name == "healthy":
                arrays["bias"] = estimate_all(arrays["t1"], arrays["brain"], cache)
            records[name] = {
                key: _write(file, f"{name}/{key}", array, STEPS.get(key), _mask(arrays, key))
                for key, array in arrays.items()
            }
            so_far = sum(member.compress_size for member in file.infolist())
            tell(f"{name}: {so_far / 1e6:.1f} MB so far")
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "data_hash": source.data_hash(),
            "visits": visits,
            "records": records,
        }
        file.writestr("manifest.json", json.dumps(manifest), zipfile.ZIP_DEFLATED)


class PackedFile:
    """Records from a file that `pack` wrote.

    Parameters
    ----------
    path : the file.

    Raises
    ------
    UnusableFile
        It is damaged, of another version or no such file at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            manifest = json.loads(self._member("manifest.json", LARGEST_MANIFEST))
        except ValueError as error:
            raise self._unusable("its manifest is no JSON") from error
        if not isinstance(manifest, dict):
            raise self._unusable("its manifest is no object")
        if manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
            raise self._unusable(f"no packed training data of version {VERSION}")
        self._manifest = manifest

    def visits(self, person: str) -> tuple[str, ...]:
        """Names of the records of a person's visits, in order."""
        names = self._manifest["visits"].get(person)
        if not names:
            raise self._unusable(f"no scans of {person} in it")
        return tuple(names)

    def record(self, name: str, keep: Collection[str] | None = None) -> Arrays:
        """The arrays of one record, of the people in `keep` only."""
        listed = self._manifest["records"].get(name)
        if listed is None:
            raise self._unusable(f"no record {name!r} in it")
        try:
            return self._arrays(name, listed, keep)
        except (Damaged, KeyError, TypeError, ValueError) as error:
            raise self._unusable(f"record {name!r} is damaged ({error})") from error

    def data_hash(self) -> str:
        """SHA-256 over the released files that were packed."""
        return str(self._manifest["data_hash"])

    def _arrays(self, name: str, listed: dict[str, Any], keep: Collection[str] | None) -> Arrays:
        small = {k: np.array(e["values"], e["dtype"]) for k, e in listed.items() if "values" in e}
        rows = None
        if "people" in small:
            rows = rows_kept(small["people"], keep)
            small = {k: a[rows] if k in BY_PERSON else a for k, a in small.items()}
        arrays = dict(small)
        # Masks first: images are decoded within them.
        for key in sorted(set(listed) - set(small), key=lambda key: key in STEPS):
            arrays[key] = self._large(f"{name}/{key}", listed[key], rows, _mask(arrays, key))
        return arrays

    def _large(
        self,
        member: str,
        entry: dict[str, Any],
        rows: NDArray[np.intp] | None,
        brain: NDArray[np.bool_] | None,
    ) -> NDArray[Any]:
        shape, dtype = tuple(entry["shape"]), np.dtype(entry["dtype"])
        if not 0 < math.prod(shape) * dtype.itemsize <= LARGEST_BYTES:
            raise Damaged(f"an array of shape {shape}")
        if rows is None:
            return _unpacked(self._member(member), entry, shape, dtype, brain)
        out = np.empty((len(rows), *shape[1:]), dtype)
        for n, row in enumerate(rows):
            mask = None if brain is None else brain[n]
            data = self._member(f"{member}/{row:03d}")
            out[n] = _unpacked(data, entry, shape[1:], dtype, mask)
        return out

    def _member(self, name: str, largest: int = LARGEST_BYTES) -> bytes:
        try:
            with zipfile.ZipFile(self.path) as file:
                if file.getinfo(name).compress_type not in (ZIP_STORED, ZIP_DEFLATED):
                    raise self._unusable(f"{name} in it is compressed in a way that is not ours")
                # What a member says of its size is not to be believed.
                with file.open(name) as member:
                    content = member.read(largest + 1)
            if len(content) > largest:
                raise self._unusable(f"{name} in it is too large to be ours")
            return content
        except KeyError as error:
            raise self._unusable(f"{name} is missing in it") from error
        except (
            OSError,
            EOFError,
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            zlib.error,
        ) as error:
            raise self._unusable(f"not a whole zip file ({error})") from error

    def _unusable(self, reason: str) -> UnusableFile:
        return UnusableFile(self.path, f"{reason}; make it anew with python -m training.data.pack")


def _mask(arrays: Arrays, key: str) -> NDArray[np.bool_] | None:
    """What an image is kept within; None for arrays that are no images."""
    return arrays["brain"] if key in STEPS else None


def _write(
    file: zipfile.ZipFile,
    member: str,
    array: NDArray[Any],
    step: int | None,
    brain: NDArray[np.bool_] | None,
) -> dict[str, Any]:
    """Add an array's members to the file; return what the manifest says of it."""
    entry: dict[str, Any] = {"dtype": array.dtype.str, "shape": array.shape}
    if array.ndim < 3 or array.dtype.kind not in "bui":
        return {**entry, "values": array.tolist()}
    if step is not None:
        entry["step"] = step
    if array.ndim == 3:
        file.writestr(member, _packed(array, entry, brain))
        return entry
    for n, volume in enumerate(array):
        mask = None if brain is None else brain[n]
        file.writestr(f"{member}/{n:03d}", _packed(volume, entry, mask))
    return entry


def _packed(volume: NDArray[Any], entry: dict[str, Any], mask: NDArray[np.bool_] | None) -> bytes:
    if mask is not None:
        # Halves go to the even step, so that the mean stays.
        return encode(np.round(np.maximum(volume, 0) / entry["step"]).astype(np.int64), mask)
    # X fastest: along it labels repeat most, and LZMA finds them shortest so.
    flat = np.ascontiguousarray(volume.transpose(2, 1, 0))
    return shrink(np.packbits(flat).tobytes() if volume.dtype == bool else flat.tobytes())


def _unpacked(
    data: bytes,
    entry: dict[str, Any],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    mask: NDArray[np.bool_] | None,
) -> NDArray[Any]:
    size = math.prod(shape)
    if len(shape) != 3:
        raise Damaged(f"a volume of shape {shape}")
    if mask is not None:
        # 254 in steps of 4 is 256, which eight bits do not hold.
        volume = decode(data, mask) * int(entry["step"])
        return np.minimum(volume, np.iinfo(dtype).max).astype(dtype)
    if dtype.kind == "b":
        bits = np.frombuffer(expand(data, -(-size // 8)), np.uint8)
        flat = np.unpackbits(bits)[:size].view(bool)
    else:
        flat = np.frombuffer(expand(data, size * dtype.itemsize), dtype)
    return np.ascontiguousarray(flat.reshape(shape[::-1]).transpose(2, 1, 0))
