"""What DICOM headers say: one `Frame` for each slice, classic or enhanced, and the tags we keep.

Only what describes the image is kept.  Names, identifiers and dates of birth are
read for nothing but the age, and never leave this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.checks import refusing

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: Elements that describe the sequence and the image; texts and numbers.
_KEPT_TEXT = (
    "Modality", "SeriesDescription", "ProtocolName", "SequenceName", "ScanningSequence",
    "ImageType", "ContrastBolusAgent", "Manufacturer", "ManufacturerModelName", "BodyPartExamined",
    "Units", "PatientPosition",
)  # fmt: skip
_KEPT_NUMBERS = (
    "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "MagneticFieldStrength",
    "SliceThickness", "SpacingBetweenSlices", "SeriesNumber",
)  # fmt: skip

_DAYS = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One slice: where its pixels are stored and where they lie in the patient.

    Parameters
    ----------
    path, index : file, and number of the frame in it (0 in a classic file).
    shape : (rows, columns).
    position : (3,) centre of the first pixel, LPS+ mm.
    cosines : (2, 3) unit directions of growing column and row index, LPS+.
    spacing : (2,) mm from column to column and from row to row.
    thickness : mm from slice to slice as stated, None if not.
    slope, intercept : stored value × slope + intercept = the scanner's value.
    kind : what separates volumes of one series that belong side by side: image type,
        echo and inversion time.
    moment : what separates volumes of a 4-D series: time point, diffusion weighting.
    """

    path: Path
    index: int
    shape: tuple[int, int]
    position: NDArray[np.float64]
    cosines: NDArray[np.float64]
    spacing: NDArray[np.float64]
    thickness: float | None
    slope: float
    intercept: float
    kind: tuple[Any, ...]
    moment: tuple[Any, ...]

    @property
    def normal(self) -> NDArray[np.float64]:
        """(3,) unit vector at right angles to the slice, LPS+."""
        return np.cross(self.cosines[0], self.cosines[1])

    @property
    def location(self) -> float:
        """Distance of the slice from the world's origin along its normal, mm."""
        return float(self.position @ self.normal)


@dataclass(frozen=True, eq=False, slots=True)
class Header:
    """The image part of one file's header.

    `facts` holds "age", "sex", "window", "tags" as `Scan.facts` does; `title` names the
    series; `image_type` is in capitals.
    """

    path: Path
    series: str
    title: str
    image_type: tuple[str, ...]
    facts: dict[str, Any]
    is_synthetic: bool
    frames: tuple[Frame, ...]


def read_header(path: Path) -> Header:
    """Parse one DICOM file's header.

    Raises
    ------
    UnusableFile : the file is damaged, holds no image, or one without a place in the patient.
    """
    import pydicom

    with refusing(path, "not readable as DICOM"):
        # Files without the "DICM" mark are common in old archives; what they lack is
        # looked for below.
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        image_type = tuple(str(part).upper() for part in _listed(dataset.get("ImageType")))
        _check_image(path, dataset)
        tags = _tags(dataset)
        frames = tuple(_frames(path, dataset, image_type))
        return Header(
            path=path,
            series=str(dataset.get("SeriesInstanceUID") or path.name),
            title=_title(tags),
            image_type=image_type,
            facts={**_patient(dataset), **_window(dataset), "tags": tags},
            is_synthetic=str(dataset.get((0x0008, 0x001C), _NONE).value).upper() == "YES",
            frames=frames,
        )


def referenced_files(dicomdir: Path) -> list[Path]:
    """The image files that a DICOMDIR names and that exist beside it."""
    import pydicom

    with refusing(dicomdir, "not readable as DICOMDIR"):
        records = pydicom.dcmread(dicomdir).get("DirectoryRecordSequence") or []
        names = [[str(part) for part in _listed(record.get("ReferencedFileID"))]
                 for record in records]  # fmt: skip
    files = [dicomdir.parent.joinpath(*name) for name in names if name and ".." not in name]
    return [file for file in files if file.is_file()]


class _Nothing:
    value = None


_NONE = _Nothing()


def _check_image(path: Path, dataset: Dataset) -> None:
    if not dataset.get("Rows") or not dataset.get("Columns"):
        kind = getattr(dataset.get("SOPClassUID"), "name", "") or "a file of no known kind"
        raise UnusableFile(path, f"a DICOM file without an image, or cut short ({kind})")
    if int(dataset.get("SamplesPerPixel", 1)) > 1:
        raise UnusableFile(path, "a colour image (RGB); a scan has one value per voxel")
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise UnusableFile(path, "a colour image (palette); a scan has one value per voxel")
    if dataset.get("ModalityLUTSequence"):
        raise UnusableFile(path, "its values pass through a look-up table, which is not supported")


def _frames(path: Path, dataset: Dataset, image_type: tuple[str, ...]) -> Iterator[Frame]:
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if not per_frame:
        if int(dataset.get("NumberOfFrames") or 1) > 1:
            raise UnusableFile(path, "several frames without a position of each in the patient")
        yield _frame(path, 0, (dataset,), dataset, image_type)
        return
    if len(per_frame) != int(dataset.get("NumberOfFrames") or 0):
        raise UnusableFile(path, "the number of its frames differs from that of their headers")
    shared = dataset.get("SharedFunctionalGroupsSequence") or [None]
    for index, groups in enumerate(per_frame):
        # A frame's own value comes before the one shared by all frames.
        levels = [*_items(groups), *_items(shared[0]), dataset]
        yield _frame(path, index, tuple(levels), dataset, image_type)


def _items(groups: Dataset | None) -> Iterator[Dataset]:
    """The first item of each functional group (each holds one)."""
    for element in groups or ():
        if element.VR == "SQ" and element.value:
            yield element.value[0]


def _frame(
    path: Path,
    index: int,
    levels: tuple[Dataset, ...],
    dataset: Dataset,
    image_type: tuple[str, ...],
) -> Frame:
    def first(*keywords: str) -> Any:
        for keyword in keywords:
            for level in levels:
                if level.get(keyword) not in (None, ""):
                    return level.get(keyword)
        return None

    position = _vector(first("ImagePositionPatient"), 3)
    cosines = _vector(first("ImageOrientationPatient"), 6)
    spacing = _vector(first("PixelSpacing"), 2)
    if position is None or cosines is None or spacing is None:
        raise UnusableFile(
            path,
            "no position, orientation or pixel spacing in the patient (a projection, a "
            "secondary capture or a damaged header)",
        )
    axes = _unit_axes(path, cosines.reshape(2, 3))
    if spacing.min() <= 0:
        raise UnusableFile(path, f"pixel spacing {spacing.tolist()} mm is not positive")
    thickness = _number(first("SpacingBetweenSlices")) or _number(first("SliceThickness"))
    slope, intercept = _number(first("RescaleSlope")), _number(first("RescaleIntercept"))
    frame_type = tuple(str(part).upper() for part in _listed(first("FrameType"))) or image_type
    moment = ("TemporalPositionIndex", "TemporalPositionIdentifier", "DiffusionBValue",
              "TriggerTime", "AcquisitionNumber")  # fmt: skip
    return Frame(
        path=path,
        index=index,
        shape=(int(dataset.Rows), int(dataset.Columns)),
        position=position,
        cosines=axes,
        # DICOM gives the distance between rows first.
        spacing=spacing[::-1].copy(),
        thickness=abs(thickness) if thickness else None,
        slope=1.0 if slope is None else slope,
        intercept=intercept or 0.0,
        kind=(
            frame_type,
            _number(first("EffectiveEchoTime", "EchoTime")),
            _number(first("InversionTime")),
        ),
        moment=tuple(_number(first(keyword)) for keyword in moment),
    )


def _unit_axes(path: Path, axes: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(axes, axis=1)
    if np.abs(lengths - 1).max() > 1e-2 or abs(axes[0] @ axes[1]) > 1e-2:
        raise UnusableFile(path, "its orientation is no pair of unit vectors at right angles")
    unit: NDArray[np.float64] = axes / lengths[:, None]
    return unit


# ---------------------------------------------------------------- what is kept of the header


def _tags(dataset: Dataset) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    for keyword in _KEPT_TEXT:
        text = "\\".join(str(part) for part in _listed(dataset.get(keyword)))
        text = _without_patient(text, dataset)
        if text:
            tags[keyword] = text
    numbers = [dataset, *_items((dataset.get("SharedFunctionalGroupsSequence") or [None])[0])]
    numbers += _items((dataset.get("PerFrameFunctionalGroupsSequence") or [None])[0])
    for keyword in _KEPT_NUMBERS:
        found = [_number(level.get(keyword)) for level in numbers if keyword in level]
        if found and found[0] is not None:
            tags[keyword] = found[0]
    echo = [_number(level.get("EffectiveEchoTime")) for level in numbers]
    if "EchoTime" not in tags and any(echo):
        tags["EchoTime"] = next(value for value in echo if value)
    agents = dataset.get("ContrastBolusAgentSequence")
    if agents and "ContrastBolusAgent" not in tags:
        tags["ContrastBolusAgent"] = str(agents[0].get("CodeMeaning", "given"))
    return tags


def _without_patient(text: str, dataset: Dataset) -> str:
    """A free text without the patient's name and identifier, which some sites put there."""
    names = re.findall(r"[^\W\d_]{3,}", str(dataset.get("PatientName", "")))
    identifier = str(dataset.get("PatientID", "")).strip()
    for secret in (*names, *([identifier] if len(identifier) > 3 else [])):
        text = re.sub(rf"(?<![^\W_]){re.escape(secret)}(?![^\W_])", "", text, flags=re.IGNORECASE)
    return text.strip(" \t\0^,;-")


def _title(tags: dict[str, Any]) -> str:
    """What to call the series: its description, protocol or number."""
    title = str(tags.get("SeriesDescription") or tags.get("ProtocolName") or "")
    if title:
        return title
    number = tags.get("SeriesNumber")
    return f"series {number:.0f}" if number is not None else str(tags.get("Modality", "series"))


def _patient(dataset: Dataset) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    age = _age(str(dataset.get("PatientAge") or ""), dataset)
    if age is not None:
        facts["age"] = age
    sex = str(dataset.get("PatientSex") or "").strip().upper()
    if sex in ("F", "M"):
        facts["sex"] = sex
    return facts


def _age(text: str, dataset: Dataset) -> float | None:
    """Age in years, to the day where only the dates of birth and study are given."""
    match = re.fullmatch(r"\s*(\d+)\s*([DWMY]?)\s*", text)
    if match and int(match[1]):
        return int(match[1]) * _DAYS[match[2] or "Y"] / _DAYS["Y"]
    dates = [re.fullmatch(r"(\d{4})(\d\d)(\d\d)", str(dataset.get(keyword) or ""))
             for keyword in ("PatientBirthDate", "StudyDate")]  # fmt: skip
    if dates[0] is None or dates[1] is None:
        return None
    try:
        born, seen = (np.datetime64("-".join(date.groups())) for date in dates if date)
    except ValueError:  # the 31st of February
        return None
    days = float((seen - born) / np.timedelta64(1, "D"))
    return round(days / _DAYS["Y"], 2) if 0 < days < 130 * _DAYS["Y"] else None


def _window(dataset: Dataset) -> dict[str, Any]:
    centre = _number((_listed(dataset.get("WindowCenter")) or [None])[0])
    width = _number((_listed(dataset.get("WindowWidth")) or [None])[0])
    return {"window": (centre, width)} if centre is not None and width else {}


def _listed(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return [value]
    return list(value)


def _vector(value: Any, size: int) -> NDArray[np.float64] | None:
    numbers = [float(part) for part in _listed(value)]
    if len(numbers) != size or not np.isfinite(numbers).all():
        return None
    return np.array(numbers)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
