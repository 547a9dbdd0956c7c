"""Plain functions that build small scans, studies and DICOM files for the tests.

Every array has unequal sizes along its axes and every affine unequal spacing, so
that a permuted axis, a swapped spacing or a lost flip changes the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import DTypeLike, NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from napari_medsyn.scans.study import Scan, Study

Shape = tuple[int, int, int]

#: RAS+ direction of each letter of an orientation code.
DIRECTIONS = {
    "R": (1, 0, 0), "L": (-1, 0, 0),
    "A": (0, 1, 0), "P": (0, -1, 0),
    "S": (0, 0, 1), "I": (0, 0, -1),
}  # fmt: skip


def make_affine(
    orientation: str = "RAS",
    spacing: Sequence[float] = (1.0, 1.25, 2.5),
    origin: Sequence[float] = (-7.0, 11.0, -13.0),
    tilt_degrees: float = 0.0,
    shear: float = 0.0,
) -> NDArray[np.float64]:
    """(4, 4) voxel index to RAS+ mm.

    `orientation` names where each array axis points to ("LPS", "SRA", …), `spacing` is
    in array-axis order, `tilt_degrees` turns the patient about the left-right axis and
    `shear` adds that share of the first axis' direction to the third.
    """
    columns = np.array([DIRECTIONS[letter] for letter in orientation], dtype=float).T
    angle = np.deg2rad(tilt_degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    tilt = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    columns = tilt @ columns
    columns[:, 2] += shear * columns[:, 0]
    affine = np.eye(4)
    affine[:3, :3] = columns * np.asarray(spacing, dtype=float)
    affine[:3, 3] = origin
    return affine


def make_voxels(
    shape: Shape = (8, 9, 10), dtype: DTypeLike = np.int16, seed: int = 0
) -> NDArray[Any]:
    """Array of `shape`: values from 0 to 999, no two neighbours alike by design."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1000, shape).astype(dtype)


def make_scan(
    shape: Shape = (8, 9, 10),
    affine: NDArray[np.float64] | None = None,
    modality: str = "T1",
    *,
    dtype: DTypeLike = np.int16,
    seed: int = 0,
    voxels: NDArray[Any] | None = None,
    **fields: Any,
) -> Scan:
    """A scan of random voxels; `fields` go to `Scan` (name, source, is_synthetic, facts)."""
    fields.setdefault("name", modality)
    return Scan(
        voxels=make_voxels(shape, dtype, seed) if voxels is None else voxels,
        affine=make_affine() if affine is None else affine,
        modality=modality,
        **fields,
    )


def make_study(modalities: Sequence[str] = ("T1", "T2"), shape: Shape = (8, 9, 10)) -> Study:
    """A study of random scans, all on one grid."""
    return Study(tuple(make_scan(shape, None, m, seed=n) for n, m in enumerate(modalities)))


def write_nifti(
    path: Path,
    voxels: NDArray[Any] | None = None,
    affine: NDArray[np.float64] | None = None,
    *,
    codes: tuple[int, int] = (1, 1),
    scaling: tuple[float, float] | None = None,
    big_endian: bool = False,
    descrip: str = "",
) -> Path:
    """Write a NIfTI file with nibabel alone; `scaling` is (slope, intercept) as stored."""
    import nibabel

    voxels = make_voxels() if voxels is None else voxels
    affine = make_affine() if affine is None else affine
    header = nibabel.Nifti1Header(endianness=">" if big_endian else "<")
    header.set_data_dtype(voxels.dtype.newbyteorder(">" if big_endian else "<"))
    image = nibabel.Nifti1Image(voxels, affine, header, dtype=voxels.dtype)
    image.set_sform(affine, codes[0])
    image.set_qform(affine, codes[1], strip_shears=True)
    image.header["descrip"] = descrip.encode()
    if scaling is not None:
        image.header.set_slope_inter(*scaling)
    nibabel.save(image, path)
    return path


def dicom_slice(
    plane: NDArray[Any],
    position: Sequence[float],
    cosines: Sequence[float],
    pixel_spacing: Sequence[float],
    tags: Mapping[str, Any],
) -> FileDataset:
    """One classic DICOM image; `plane` is (rows, columns) int16 or uint16, geometry in LPS mm."""
    modality = tags.get("Modality", "MR")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = modality
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "SECRET-7"
    dataset.PatientBirthDate = "19700101"
    dataset.Rows, dataset.Columns = plane.shape[:2]
    dataset.SamplesPerPixel = 1 if plane.ndim == 2 else plane.shape[2]
    dataset.PhotometricInterpretation = "MONOCHROME2" if plane.ndim == 2 else "RGB"
    if plane.ndim == 3:
        dataset.PlanarConfiguration = 0
    bits = plane.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(plane.dtype.kind == "i")
    dataset.ImagePositionPatient = [f"{value:.10g}" for value in position]
    dataset.ImageOrientationPatient = [f"{value:.12g}" for value in cosines]
    dataset.PixelSpacing = [f"{value:.12g}" for value in pixel_spacing]
    dataset.SliceThickness = "1"
    dataset.PixelData = np.ascontiguousarray(plane).tobytes()
    dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def write_dicom_series(
    folder: Path,
    scan: Scan | None = None,
    *,
    skip: Sequence[int] = (),
    prefix: str = "IM",
    per_slice: Mapping[str, Sequence[Any]] | None = None,
    **tags: Any,
) -> list[Path]:
    """Write a scan as one classic DICOM file a slice (third array axis); give the files.

    The stored slices are those of `scan` with axes (column, row, slice); its affine may
    be oblique or sheared along the third axis (gantry tilt).  `skip` leaves slices out,
    `per_slice` holds one value of a keyword for each slice, `tags` set or replace
    elements by keyword.
    """
    scan = make_scan() if scan is None else scan
    folder.mkdir(parents=True, exist_ok=True)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    cosines = [*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1])]
    series_uid = tags.pop("SeriesInstanceUID", generate_uid())
    files = []
    for k in range(scan.voxels.shape[2]):
        if k in skip:
            continue
        own = {name: values[k] for name, values in (per_slice or {}).items()}
        dataset = dicom_slice(
            np.ascontiguousarray(scan.voxels[:, :, k].T),
            position=lps[:3, 3] + k * lps[:3, 2],
            cosines=cosines,
            pixel_spacing=(spacing[1], spacing[0]),
            tags={"SeriesInstanceUID": series_uid, "InstanceNumber": k + 1, **tags, **own},
        )
        # Names that sort against the slices' order: nobody may rely on the name.
        path = folder / f"{prefix}{scan.voxels.shape[2] - k:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        files.append(path)
    return files


def write_enhanced_dicom(
    path: Path, scan: Scan | None = None, *, volumes: int = 1, **tags: Any
) -> Path:
    """Write a scan as one enhanced multi-frame MR file, `volumes` time points of it."""
    scan = make_scan() if scan is None else scan
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    frames = np.ascontiguousarray(scan.voxels.transpose(2, 1, 0))
    dataset = dicom_slice(frames[0], lps[:3, 3], [1, 0, 0, 0, 1, 0], (1, 1), tags)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = (
        pydicom.uid.EnhancedMRImageStorage
    )
    dataset.SeriesInstanceUID = generate_uid()
    dataset.NumberOfFrames = len(frames) * volumes
    dataset.PixelData = frames.tobytes() * volumes
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [
        f"{v:.12g}" for v in (*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1]))
    ]
    measures.PixelSpacing = [f"{spacing[1]:.12g}", f"{spacing[0]:.12g}"]
    measures.SliceThickness = f"{spacing[2]:.12g}"
    shared = Dataset()
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelMeasuresSequence = [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    per_frame = []
    for volume in range(volumes):
        for k in range(len(frames)):
            position, content, frame = Dataset(), Dataset(), Dataset()
            position.ImagePositionPatient = [f"{v:.10g}" for v in lps[:3, 3] + k * lps[:3, 2]]
            content.TemporalPositionIndex = volume + 1
            frame.PlanePositionSequence = [position]
            frame.FrameContentSequence = [content]
            per_frame.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = per_frame
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path
