"""Stored pixels of DICOM files, by pydicom or, where it lacks a decoder, by SimpleITK (GDCM)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.checks import refusing
from napari_medsyn.scans.dicom_frames import Frame

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def read_planes(frames: Sequence[Frame]) -> NDArray[Any]:
    """(X, Y, Z) voxels of the frames in their order: columns, rows, slices.

    Stored integers keep their type when no frame is rescaled; otherwise the values are
    float32, each frame by its own slope and intercept.

    Raises
    ------
    UnusableFile : a file is cut short, damaged, without pixels, or compressed in a way
        that no decoder here knows.
    """
    rescaled = any((frame.slope, frame.intercept) != (1.0, 0.0) for frame in frames)
    stored: dict[Path, NDArray[Any]] = {}
    planes = []
    for frame in frames:
        if frame.path not in stored:
            # One file at a time unless its frames are spread over the volume.
            stored = {frame.path: _stored(frame, frames)}
        plane = stored[frame.path][frame.index]
        if rescaled:
            with np.errstate(over="ignore", invalid="ignore"):  # infinities are handled later
                plane = (plane * np.float64(frame.slope) + frame.intercept).astype(np.float32)
        planes.append(plane)
    # Stacked slice by slice in memory and seen as X, Y, Z: as nibabel arranges NIfTI.
    return np.stack(planes).transpose(2, 1, 0)


def _stored(frame: Frame, frames: Sequence[Frame]) -> NDArray[Any]:
    """(n, rows, columns) stored values of the file of `frame`, in the machine's byte order."""
    import pydicom

    path = frame.path
    with refusing(path, "its pixels are damaged or cut short"):
        dataset = pydicom.dcmread(path, force=True)
        _check_pixels(path, dataset)
        if _lacks_decoder(dataset):
            pixels = _by_gdcm(path, dataset, [f for f in frames if f.path == path])
        else:
            pixels = dataset.pixel_array
        pixels = _without_overlay(dataset, pixels).reshape((-1, *frame.shape))
        if len(pixels) != int(dataset.get("NumberOfFrames") or 1):
            raise UnusableFile(path, "it holds fewer frames than its header says")
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _without_overlay(dataset: Dataset, pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels without the overlay that old files keep in the bits above BitsStored."""
    has_overlay = any(
        element.tag.group & 0xFF00 == 0x6000 and element.tag.element == 0x0102 and element.value
        for element in dataset.group_dataset(0x6000)
    )
    if not has_overlay or pixels.dtype.kind != "u":
        return pixels
    image_bits = pixels.dtype.type((1 << int(dataset.BitsStored)) - 1)
    return np.asarray(np.bitwise_and(pixels, image_bits))


def _check_pixels(path: Path, dataset: Dataset) -> None:
    from pydicom.uid import ImplicitVRLittleEndian

    if not any(key in dataset for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise UnusableFile(path, "no pixel data; the file was cut short or stripped of its image")
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # DICOM's default


def _lacks_decoder(dataset: Dataset) -> bool:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import JPEGExtended12Bit

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return False
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return True
    # Pillow offers itself for 12 bits, but decodes 8 only.
    deep = syntax == JPEGExtended12Bit and int(dataset.BitsStored) > 8
    return not set(decoder.available_plugins) - ({"pillow"} if deep else set())


def _by_gdcm(path: Path, dataset: Dataset, frames: Sequence[Frame]) -> NDArray[Any]:
    """Pixels as SimpleITK decodes them, brought back to stored values."""
    import SimpleITK

    syntax = dataset.file_meta.TransferSyntaxUID
    missing = UnusableFile(
        path,
        f"compressed as {syntax.name}, and no decoder for it is installed; "
        "install pylibjpeg and its plugins, or save the series uncompressed",
    )
    # SimpleITK rescales on its own, by one slope for the whole file.
    scalings = {(frame.slope, frame.intercept) for frame in frames}
    if len(scalings) > 1:
        raise missing
    slope, intercept = scalings.pop()
    try:
        image = SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO")
    except RuntimeError as error:
        raise missing from error
    values = SimpleITK.GetArrayFromImage(image)
    if (slope, intercept) == (1.0, 0.0):
        return values
    kind = f"{'i' if dataset.PixelRepresentation else 'u'}{dataset.BitsAllocated // 8}"
    return np.rint((values - intercept) / slope).astype(kind)
