"""NRRD and MetaImage files to scans, and scans to NRRD, by SimpleITK."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.checks import checked_scan, refusing, storable_type
from napari_medsyn.scans.geometry import LPS_TO_RAS, Affine
from napari_medsyn.scans.provenance import label_text, to_json
from napari_medsyn.scans.study import Scan

if TYPE_CHECKING:
    import SimpleITK

#: Key of the JSON that a synthetic NRRD carries.
PROVENANCE_KEY = "medsyn_provenance"

_HEADER_BYTES = 1 << 16
_META_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}  # fmt: skip


def read_itk(path: Path) -> Scan:
    """Read one NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd) file.

    Raises
    ------
    UnusableFile : it cannot be read, its data file is missing, or it is not one 3-D
        volume of real numbers.
    """
    import SimpleITK

    suffix = path.suffix.lower()
    form = "MetaImage" if suffix in (".mha", ".mhd") else "NRRD"
    with refusing(path, f"not readable as {form}"):
        (_check_meta_data if form == "MetaImage" else _check_nrrd_data)(path)
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(path))
        reader.SetImageIO(f"{'Meta' if form == 'MetaImage' else 'Nrrd'}ImageIO")
        _execute(path, reader.ReadImageInformation)
        _check_kind(path, reader)
        image = _execute(path, reader.Execute)
        voxels = SimpleITK.GetArrayViewFromImage(image).T.copy(order="K")
        affine = _affine(image)
        provenance = _provenance(image)
    notes: tuple[str, ...] = ()
    space = image.GetMetaData("NRRD_space") if image.HasMetaDataKey("NRRD_space") else ""
    if form == "NRRD" and space != "left-posterior-superior":
        stated = f"names the space {space!r}" if space else "names no anatomical space"
        notes = (f"the header {stated}: axes taken as left, posterior, superior",)
    facts: dict[str, Any] = {"tags": {}}
    if provenance:
        facts["provenance"] = provenance
    return checked_scan(
        path,
        voxels,
        affine,
        name=path.stem,
        facts=facts,
        notes=notes,
        is_synthetic=bool(provenance) or image.HasMetaDataKey("SYNTHETIC"),
    )


def write_nrrd(path: Path, scan: Scan) -> None:
    """Write a scan to `path` as compressed NRRD, replacing what is there.

    A synthetic scan carries the keys SYNTHETIC and `PROVENANCE_KEY`.

    Raises
    ------
    OSError : SimpleITK cannot write it.
    """
    import SimpleITK

    lps = LPS_TO_RAS @ scan.affine
    spacing = scan.grid.spacing
    voxels = scan.voxels.astype(storable_type(scan.voxels.dtype), copy=False)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    if scan.is_synthetic:
        provenance = dict(scan.facts.get("provenance", {}))
        image.SetMetaData("SYNTHETIC", label_text(provenance, scan.modality))
        image.SetMetaData(PROVENANCE_KEY, to_json({**provenance, "SYNTHETIC": True}))
    try:
        SimpleITK.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise OSError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """What SimpleITK's many-lined error says, without its source lines and addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for line in reversed(lines):
        text = line.split("):")[-1].strip() if line.startswith("ITK ERROR") else line
        if text and not text.startswith(("sitk::ERROR", "Exception thrown", "in ", "/")):
            return re.sub(r"^\[nrrd\] \w+: ", "", text)[:160].rstrip(".:")
    return lines[0][:160] if lines else "no reason given"


def _execute(path: Path, call: Any) -> Any:
    try:
        return call()
    except RuntimeError as error:
        raise UnusableFile(path, f"its header or data is damaged: {_reason(error)}") from error


def _affine(image: SimpleITK.Image) -> Affine:
    """(4, 4) RAS+ affine of the first three axes."""
    dimension = image.GetDimension()
    direction = np.reshape(image.GetDirection(), (dimension, dimension))[:3, :3]
    lps = np.eye(4)
    lps[:3, :3] = direction * image.GetSpacing()[:3]
    lps[:3, 3] = image.GetOrigin()[:3]
    ras: Affine = LPS_TO_RAS @ lps
    return ras


def _check_kind(path: Path, reader: SimpleITK.ImageFileReader) -> None:
    import SimpleITK

    components = reader.GetNumberOfComponents()
    if components > 1:
        kind = "a colour image (RGB)" if components in (3, 4) else "a vector image"
        raise UnusableFile(
            path, f"{kind} with {components} values per voxel; a scan has one value per voxel"
        )
    if reader.GetPixelID() in (SimpleITK.sitkComplexFloat32, SimpleITK.sitkComplexFloat64):
        raise UnusableFile(path, "complex values; save the magnitude as an image of its own")
    if reader.GetDimension() < 3:
        raise UnusableFile(path, "a 2-D image, which has no place in the patient")


def _provenance(image: SimpleITK.Image) -> dict[str, Any]:
    if not image.HasMetaDataKey(PROVENANCE_KEY):
        return {}
    try:
        content = json.loads(image.GetMetaData(PROVENANCE_KEY))
    except ValueError:  # not the one we wrote
        return {}
    return content if isinstance(content, dict) else {}


# ---------------------------------------------------------------- text headers


def _text_header(path: Path, separator: str) -> tuple[dict[str, str], int]:
    """Fields of the text at the head of a file, keys in lower case, and where it ends."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    fields: dict[str, str] = {}
    end = 0
    for line in head.splitlines(keepends=True):
        end += len(line)
        key, found, value = line.decode("latin-1").strip().partition(separator)
        if found:
            fields[key.strip().lower()] = value.strip()
        # NRRD's header ends with an empty line, MetaImage's with this field.
        if not key or key.strip().lower() == "elementdatafile":
            break
    return fields, end


def _check_nrrd_data(path: Path) -> None:
    header, _ = _text_header(path, ":")
    name = header.get("data file") or header.get("datafile") or ""
    if name and "%" not in name and not name.startswith("LIST"):
        _existing(path, name)


def _check_meta_data(path: Path) -> None:
    """Refuse missing or short data here: MetaIO would write about them to the terminal."""
    header, end = _text_header(path, "=")
    needs = ("ndims", "dimsize", "elementtype", "elementdatafile")
    missing = [key for key in needs if not header.get(key)]
    if missing:
        raise UnusableFile(path, f"damaged or cut short: its header lacks {', '.join(missing)}")
    name = header["elementdatafile"]
    if "%" in name or name.startswith("LIST"):
        return
    data, start = (path, end) if name == "LOCAL" else (_existing(path, name), 0)
    available = data.stat().st_size - start
    if header.get("compresseddata", "").lower() == "true":
        needed = int(header.get("compresseddatasize", 0))
    else:
        channels = int(header.get("elementnumberofchannels", 1))
        voxels = math.prod(int(size) for size in header["dimsize"].split())
        needed = voxels * channels * _META_BYTES.get(header["elementtype"], 1)
    if available < needed:
        raise UnusableFile(
            path, f"damaged or cut short: {available} of {needed} bytes of voxels are there"
        )


def _existing(path: Path, name: str) -> Path:
    data = path.parent / name
    if not data.is_file():
        raise UnusableFile(path, f"its data file {name} is missing; keep both in one folder")
    return data
