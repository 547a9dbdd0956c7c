"""DICOM files to scans: grouped by series, checked slice by slice, stacked along the normal."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.checks import checked_scan
from napari_medsyn.scans.dicom_frames import Frame, Header, read_header
from napari_medsyn.scans.dicom_pixels import read_planes
from napari_medsyn.scans.geometry import LPS_TO_RAS, Affine
from napari_medsyn.scans.modality import guess_modality
from napari_medsyn.scans.study import Scan

#: Slices this close lie at one position, mm.
_SAME_PLACE_MM = 0.01

#: How far a slice may lie from its even place, as a share of the slice distance:
#: positions are often rounded to 0.1 mm, a missing slice shifts others by far more.
_UNEVEN = 0.05

#: Slices that lean by less than this are called upright, degrees.
_UPRIGHT_DEGREES = 0.1

_SCOUT = re.compile(r"locali[sz]er|scout|survey|pilot|plan scan|topogram", re.IGNORECASE)


def read_dicom(files: Sequence[Path], source: Path) -> list[Scan]:
    """Read every volume that `files` hold, in the order of their series.

    What cannot be used beside something that can (a localiser, a report, a damaged
    file) is named in ``facts["notes"]`` of the first scan.

    Parameters
    ----------
    files : DICOM files of one or several series, in any order.
    source : the file or folder that the user chose, for `Scan.source` and for errors.

    Raises
    ------
    UnusableFile : no volume can be read; with the reason, if there are several the first.
    """
    headers, refusals = [], []
    for file in files:
        try:
            headers.append(read_header(file))
        except UnusableFile as error:
            refusals.append(error)
    series: dict[str, list[Header]] = defaultdict(list)
    for header in headers:
        series[header.series].append(header)
    scans: list[Scan] = []
    for members in sorted(series.values(), key=_series_order):
        try:
            scans += _read_series(members, source)
        except UnusableFile as error:
            # A series' own trouble says more than that of files beside it.
            refusals.insert(0, error)
    if not scans:
        raise _summary(source, refusals)
    if refusals:
        scans[0] = _with_note(scans[0], _left_out(refusals))
    return scans


def _series_order(members: list[Header]) -> tuple[float, str]:
    return members[0].facts["tags"].get("SeriesNumber", np.inf), members[0].title


def _summary(source: Path, refusals: Sequence[UnusableFile]) -> UnusableFile:
    if not refusals:
        return UnusableFile(source, "holds no DICOM image")
    if len(refusals) == 1 or len({refusal.reason for refusal in refusals}) == 1:
        return refusals[0] if len(refusals) == 1 else UnusableFile(source, refusals[0].reason)
    first = refusals[0]
    where = "" if first.path == source else f"{first.path.name}: "
    return UnusableFile(
        source, f"none of its series can be used; the first because: {where}{first.reason}"
    )


def _left_out(refusals: Sequence[UnusableFile]) -> str:
    shown = "; ".join(f"{refusal.path.name}: {refusal.reason}" for refusal in refusals[:3])
    more = f"; and {len(refusals) - 3} more" if len(refusals) > 3 else ""
    return f"Left out: {shown}{more}"


def _with_note(scan: Scan, note: str) -> Scan:
    return replace(scan, facts={**scan.facts, "notes": (*scan.facts["notes"], note)})


# ---------------------------------------------------------------- one series


def _read_series(members: Sequence[Header], source: Path) -> list[Scan]:
    """The volumes of one series: most have one; echoes and image types make several."""
    head = members[0]
    where = head.path if len(members) == 1 else source
    scans: list[Scan] = []
    refusals: list[UnusableFile] = []
    try:
        _check_series(members)
    except _Refused as refusal:
        raise UnusableFile(where, f"series {head.title!r}: {refusal}") from refusal
    for label, frames in _volumes([frame for header in members for frame in header.frames]):
        title = f"{head.title}{label}"
        try:
            scans.append(_scan(head, _without_copies(frames), where, title))
        except _Refused as refusal:
            refusals.append(UnusableFile(where, f"series {title!r}: {refusal}"))
    if not scans:
        raise refusals[0]
    return [_with_note(scans[0], _left_out(refusals)), *scans[1:]] if refusals else scans


class _Refused(Exception):
    """Why a series is no volume; becomes `UnusableFile` where the series' name is known."""


def _check_series(members: Sequence[Header]) -> None:
    head = members[0]
    if "MOSAIC" in head.image_type:
        raise _Refused("a Siemens mosaic of many slices in one picture; convert it with dcm2niix")
    named_so = _SCOUT.search(head.title) and not guess_modality(head.title)
    if "LOCALIZER" in head.image_type or named_so:
        raise _Refused("a localiser, made for planning and not a volume")
    frames = [frame for header in members for frame in header.frames]
    first = frames[0]
    turned = [np.abs(frame.cosines - first.cosines).max() > 1e-3 for frame in frames]
    if any(turned):
        raise _Refused("its slices have several orientations, like a localiser or a rotating view")
    if any(f.shape != first.shape or not np.allclose(f.spacing, first.spacing, rtol=1e-3)
           for f in frames):  # fmt: skip
        raise _Refused("its slices have different sizes or pixel spacings")


def _volumes(frames: Sequence[Frame]) -> list[tuple[str, list[Frame]]]:
    """Label and slices of each volume, the slices in order along their normal."""
    whole = _in_order(frames)
    if not _repeated(whole):
        return [("", whole)]
    groups: dict[tuple[object, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[frame.kind].append(frame)
    return [
        ("" if len(groups) == 1 else _label(kind, list(groups)), _in_order(group))
        for kind, group in groups.items()
    ]


def _in_order(frames: Sequence[Frame]) -> list[Frame]:
    return sorted(frames, key=lambda frame: frame.location)


def _repeated(ordered: Sequence[Frame]) -> bool:
    return bool((np.diff([frame.location for frame in ordered]) < _SAME_PLACE_MM).any())


def _label(kind: tuple[object, ...], kinds: Sequence[tuple[object, ...]]) -> str:
    """What sets a volume apart from its siblings: " (echo 30 ms)", " (field_map)"."""
    image_type, echo, inversion = kind
    parts = []
    if len({other[0] for other in kinds}) > 1:
        common = set.intersection(*(set(other[0]) for other in kinds))  # type: ignore[call-overload]
        own = [part for part in image_type if part not in common]  # type: ignore[attr-defined]
        parts.append(" ".join(own).lower() or "plain")
    if len({other[1] for other in kinds}) > 1 and echo:
        parts.append(f"echo {echo:g} ms")
    if len({other[2] for other in kinds}) > 1 and inversion is not None:
        parts.append(f"inversion {inversion:g} ms")
    return f" ({', '.join(parts)})" if parts else ""


def _without_copies(ordered: list[Frame]) -> list[Frame]:
    """The slices without exact copies; refuses different images at one position."""
    if not _repeated(ordered):
        return ordered
    places = np.concatenate(
        [[0], np.cumsum(np.diff([f.location for f in ordered]) >= _SAME_PLACE_MM)]
    ).astype(int)
    counts = set(Counter(places.tolist()).values())
    moments = {frame.moment for frame in ordered}
    if len(counts) == 1 and len(moments) >= max(counts):
        raise _Refused(_four_dimensional(ordered, max(counts)))
    kept: list[Frame] = []
    for place in range(int(places[-1]) + 1):
        first, *others = [frame for frame, at in zip(ordered, places, strict=True) if at == place]
        pixels = read_planes([first])
        if not all(np.array_equal(pixels, read_planes([other])) for other in others):
            raise _Refused(f"different images at the same position, {first.location:.1f} mm")
        kept.append(first)
    return kept


def _four_dimensional(frames: Sequence[Frame], count: int) -> str:
    reason = f"4-D, {count} volumes over time or diffusion weighting; a scan is one volume"
    if len({frame.path for frame in frames}) == count:
        return f"{reason}, so open one of its files alone"
    return f"{reason}, so export one of them"


def _scan(head: Header, frames: list[Frame], source: Path, name: str) -> Scan:
    step, notes = _step(frames)
    first = frames[0]
    facts = dict(head.facts)
    echo = first.kind[1]
    if echo is not None:
        facts["tags"] = {**facts["tags"], "EchoTime": echo}
    lps = np.eye(4)
    lps[:3, 0] = first.cosines[0] * first.spacing[0]
    lps[:3, 1] = first.cosines[1] * first.spacing[1]
    lps[:3, 2] = step
    lps[:3, 3] = first.position
    affine: Affine = LPS_TO_RAS @ lps
    return checked_scan(
        source,
        read_planes(frames),
        affine,
        name=name,
        facts=facts,
        notes=notes,
        is_synthetic=head.is_synthetic,
    )


def _step(frames: Sequence[Frame]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """(3,) way from slice to slice, LPS+ mm, and notes; refuses uneven stacks."""
    first = frames[0]
    if len(frames) == 1:
        if first.thickness is None:
            note = "the header states no slice thickness: 1 mm assumed"
            return first.normal, (note,)
        return first.normal * first.thickness, ()
    positions = np.array([frame.position for frame in frames])
    step = (positions[-1] - positions[0]) / (len(frames) - 1)
    astray = positions - (positions[0] + np.arange(len(frames))[:, None] * step)
    distance = float(step @ first.normal)
    if np.linalg.norm(astray, axis=1).max() > _UNEVEN * distance:
        if np.abs(astray @ first.normal).max() > _UNEVEN * distance:
            raise _Refused(_uneven(np.diff(positions @ first.normal)))
        raise _Refused("its slices are shifted sideways against each other unevenly")
    lean = float(np.degrees(np.arccos(np.clip(distance / np.linalg.norm(step), -1, 1))))
    if lean > _UPRIGHT_DEGREES:
        return step, (f"gantry tilt of {lean:.1f} degrees, kept in the affine",)
    return step, ()


def _uneven(gaps: NDArray[np.float64]) -> str:
    """What is wrong with a stack whose slices lie `gaps` mm apart."""
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])  # the lower median: a gap that is there
    widest = int(gaps.argmax())
    if gaps[widest] > 1.5 * usual:
        missing = max(1, round(float(gaps[widest]) / usual) - 1)
        return (
            f"about {missing} slice{'s' if missing > 1 else ''} missing: "
            f"{gaps[widest]:.2f} mm between slices {widest + 1} and {widest + 2}, elsewhere "
            f"{usual:.2f} mm; export the series again"
        )
    return (
        f"the distance between slices varies from {gaps.min():.2f} to {gaps.max():.2f} mm; "
        "resample it to even slices first"
    )
