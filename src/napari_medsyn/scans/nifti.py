"""NIfTI-1 and -2 files to scans and back, by nibabel: exact affines, stored voxel order."""

from __future__ import annotations

import gzip
import json
import math
import re
from io import IOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.checks import checked_scan, refusing, storable_type
from napari_medsyn.scans.geometry import Affine, corner_indices, is_sheared, is_singular, to_world
from napari_medsyn.scans.provenance import label_text, sidecar_path, to_json
from napari_medsyn.scans.study import Scan

if TYPE_CHECKING:
    from nibabel.arrayproxy import ArrayProxy
    from nibabel.nifti1 import Nifti1Header, Nifti1Image

#: Spatial unit (the low three bits of xyzt_units) to its name and millimetres; 2 is mm.
_UNITS = {1: ("metre", 1000.0), 3: ("micrometre", 0.001)}

#: sform and qform that differ by less say the same: float32 and quaternions round.
_FORMS_AGREE_MM = 0.1

_HEADER_BYTES = 540  # of NIfTI-2, the longer one
_LONGEST_AXIS = 1 << 15  # that NIfTI-1 can count
_SCANNER = 1  # sform code for "as the scanner gave it"

#: deflate cannot pack more than this many bytes into one (zlib's own documentation: 1032).
_MOST_DEFLATED = 1100

_COMMENT = 6  # code of a header extension that holds text

#: A sidecar larger than this is not one of ours, nor a BIDS one.
_LARGEST_SIDECAR = 1 << 20


def read_nifti(path: Path) -> Scan:
    """Read one NIfTI file, compressed or not whatever its name says.

    Stored integers keep their type unless the header scales them; scaled values are
    float32.  ``facts`` holds "sform_code", "qform_code", "tags" and "notes".

    Raises
    ------
    UnusableFile : it cannot be read, or it is not one 3-D volume of real numbers.
    """
    with refusing(path, "not readable as NIfTI"), _stream(path) as stream:
        image = _parse(path, stream)
        header = image.header
        _check_size(path, header, packed=isinstance(stream, gzip.GzipFile))
        affine, notes = _affine(image)
        voxels = _voxels(image)
        descrip = _text(header["descrip"])
        codes = {key: int(header[key]) for key in ("sform_code", "qform_code")}
        provenance = _embedded_provenance(header)
    sidecar = _sidecar(path)
    if not provenance and sidecar.get("SYNTHETIC") is True:
        provenance = sidecar
    facts: dict[str, Any] = {**codes, "tags": {"descrip": descrip, **_bids_tags(sidecar)}}
    if provenance:
        facts["provenance"] = provenance
    return checked_scan(
        path,
        voxels,
        affine,
        name=_stem(path),
        facts=facts,
        notes=notes,
        is_synthetic=bool(provenance) or descrip.upper().startswith("SYNTHETIC"),
    )


def write_nifti(path: Path, scan: Scan) -> None:
    """Write a scan to `path` as NIfTI-1 (-2 for very long axes), replacing what is there.

    The affine goes into the sform exactly as float32 can hold it, and into the qform
    unless it is sheared, which a qform cannot say.  A synthetic scan is marked in the
    description and carries its provenance in a header extension.
    """
    import nibabel

    voxels = scan.voxels.astype(storable_type(scan.voxels.dtype), copy=False)
    kind: Any = nibabel.Nifti1Image if max(voxels.shape) < _LONGEST_AXIS else nibabel.Nifti2Image
    image = kind(voxels, scan.affine, dtype=voxels.dtype)
    header = image.header
    header.set_xyzt_units("mm")
    _set_codes(image, scan)
    if scan.is_synthetic:
        provenance = dict(scan.facts.get("provenance", {}))
        # The field holds 80 bytes with the closing zero.
        header["descrip"] = _ascii(label_text(provenance, scan.modality))[:79]
        content = to_json({**provenance, "SYNTHETIC": True})
        header.extensions.append(nibabel.nifti1.Nifti1Extension(_COMMENT, content.encode()))
    image.to_filename(path)


# ---------------------------------------------------------------- reading


def _stream(path: Path) -> gzip.GzipFile | BinaryIO:
    """The file's bytes, unpacked if they are packed: the content decides, not the name."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")


def _parse(path: Path, stream: gzip.GzipFile | BinaryIO) -> Nifti1Image:
    import nibabel
    from nibabel.imageglobals import LoggingOutputSuppressor

    head = stream.read(_HEADER_BYTES)
    stream.seek(0)
    if len(head) < 348:
        raise UnusableFile(path, "ends within its NIfTI header")
    if head[344:348] == b"ni1\0" or head[4:8] == b"ni2\0":
        raise UnusableFile(path, "only the header of a NIfTI pair; convert it to one .nii file")
    if head[344:348] == b"n+1\0":
        kind = nibabel.Nifti1Image
    elif head[4:8] == b"n+2\0":
        kind = nibabel.Nifti2Image
    else:
        raise UnusableFile(path, "no NIfTI file: the mark of the format is missing")
    with LoggingOutputSuppressor():
        # Not mapped: the scan must outlive its file, which may be overwritten or unplugged.
        files = kind.make_file_map({"image": cast("IOBase", stream)})
        return cast("Nifti1Image", kind.from_file_map(files, mmap=False))


def _check_size(path: Path, header: Nifti1Header, *, packed: bool) -> None:
    """Refuse a file that cannot hold what its header promises, before memory is asked for."""
    shape = tuple(int(size) for size in header.get_data_shape())
    promised = int(header["vox_offset"]) + math.prod(shape) * header.get_data_dtype().itemsize
    most = path.stat().st_size * (_MOST_DEFLATED if packed else 1)
    if promised > most:
        raise UnusableFile(
            path, f"damaged or cut short: its header promises {promised} bytes for shape {shape}"
        )


def _voxels(image: Nifti1Image) -> NDArray[Any]:
    proxy = cast("ArrayProxy", image.dataobj)
    stored = np.asarray(proxy.get_unscaled())
    # nibabel takes the scaling out of the header when it opens a file: only the proxy knows.
    slope, intercept = proxy.slope, proxy.inter
    if stored.dtype.kind not in "iuf" or (slope, intercept) == (1.0, 0.0):
        return stored
    # In double precision, so that the rounding to float32 is the only one.
    with np.errstate(over="ignore", invalid="ignore"):  # infinities are handled later
        scaled = stored * np.float64(slope) + np.float64(intercept)
        return np.asarray(scaled, dtype=np.float32)


def _affine(image: Nifti1Image) -> tuple[Affine, tuple[str, ...]]:
    """The affine in mm, by sform, else qform, else the voxel sizes alone, with notes."""
    header = image.header
    notes = []
    affine = np.array(image.affine, dtype=float)
    unit, factor = _UNITS.get(int(header["xyzt_units"]) & 7, ("", 1.0))
    if unit:
        affine[:3] *= factor
        notes.append(f"the header's unit is the {unit}; converted to millimetres")
    if not header["sform_code"] and not header["qform_code"]:
        notes.append(
            "the header has neither sform nor qform: orientation assumed, left and right may be "
            "exchanged"
        )
    elif header["sform_code"] and header["qform_code"]:
        distance = _forms_apart(header, image.shape)
        if distance > _FORMS_AGREE_MM:
            notes.append(f"sform and qform differ by up to {distance:.1f} mm; the sform is used")
    return affine, tuple(notes)


def _forms_apart(header: Nifti1Header, shape: tuple[int, ...]) -> float:
    """Largest distance of a corner by sform and by qform, mm; 0 where no qform can agree."""
    from nibabel.spatialimages import HeaderDataError

    sform = header.get_sform()
    if is_singular(sform) or is_sheared(sform):
        return 0.0
    try:
        qform = header.get_qform()
    except (HeaderDataError, ValueError):  # a broken quaternion, which nobody needs beside an sform
        return 0.0
    x, y, z, *_ = (*shape, 1, 1)
    corners = corner_indices((x, y, z))
    apart = to_world(sform, corners) - to_world(qform, corners)
    return float(np.sqrt((apart**2).sum(axis=1)).max())


def _embedded_provenance(header: Nifti1Header) -> dict[str, Any]:
    """The provenance that `write_nifti` put into a comment extension, or {}."""
    for extension in header.extensions:
        if extension.get_code() != _COMMENT:
            continue
        try:
            content = json.loads(bytes(_raw(extension)).rstrip(b"\0").decode())
        except ValueError:  # another program's comment
            continue
        if isinstance(content, dict) and content.get("SYNTHETIC") is True:
            return content
    return {}


def _raw(extension: Any) -> bytes:
    content = extension.get_content()
    return content if isinstance(content, bytes) else str(content).encode()


def _sidecar(path: Path) -> dict[str, Any]:
    """The JSON file beside the image, or {}: ours, or a BIDS one."""
    sidecar = sidecar_path(path)
    try:
        if sidecar.stat().st_size > _LARGEST_SIDECAR:
            return {}
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        # It is optional: whatever is wrong with it, the scan itself is not.
        return {}
    return content if isinstance(content, dict) else {}


def _bids_tags(sidecar: dict[str, Any]) -> dict[str, Any]:
    """What a BIDS sidecar says of the sequence, under DICOM's keywords and units (ms)."""
    tags = {
        key: sidecar[key]
        for key in ("Modality", "SeriesDescription", "ProtocolName", "ScanningSequence")
        if isinstance(sidecar.get(key), str)
    }
    for key in ("EchoTime", "RepetitionTime", "InversionTime"):
        if isinstance(sidecar.get(key), int | float):
            tags[key] = 1000.0 * sidecar[key]  # BIDS has seconds
    if sidecar.get("ContrastBolusIngredient"):
        tags["ContrastBolusAgent"] = str(sidecar["ContrastBolusIngredient"])
    return tags


def _stem(path: Path) -> str:
    return re.sub(r"\.nii(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def _text(field: Any) -> str:
    return bytes(field).rstrip(b"\0").decode("latin-1").strip()


# ---------------------------------------------------------------- writing


def _set_codes(image: Nifti1Image, scan: Scan) -> None:
    """Affine as sform and qform, with the codes of the file that the scan came from."""
    codes = [int(scan.facts.get(key, 0)) for key in ("sform_code", "qform_code")]
    sform_code = codes[0] or codes[1]
    if not sform_code:
        if "sform_code" in scan.facts and np.allclose(
            image.header.get_base_affine(), scan.affine, atol=1e-4
        ):
            # The source stated no orientation: neither do we, so that any program that
            # guesses one guesses the same for both.
            image.set_sform(None, 0)
            image.set_qform(None, 0)
            return
        sform_code = _SCANNER
    image.set_sform(scan.affine, sform_code)
    if is_sheared(scan.affine):
        image.set_qform(None, 0)
    else:
        image.set_qform(scan.affine, codes[1] or sform_code, strip_shears=True)


def _ascii(text: str) -> bytes:
    return text.replace("·", "|").encode("ascii", "replace")
