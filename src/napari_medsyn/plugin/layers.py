"""Scan ⇄ layer: how a scan is shown, and how a layer becomes a scan again.

Layers are shown in S, P, L order with scale and translate only: napari cannot slice a
rotated or permuted affine.  The patient's own affine stays in the layer's metadata under
`KEY`, with the scan itself, and is written back on save.  A layer is known by that
metadata, never by its name.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import MedsynError, UnusableStudy
from napari_medsyn.exploration.requests import Finished
from napari_medsyn.exploration.saving import result_scan
from napari_medsyn.scans.display import AXIS_LABELS, display_order, from_display, to_display
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.study import Scan

if TYPE_CHECKING:
    from napari.layers import Image, Layer

#: Where our mark lies in a layer's metadata.
KEY: Final = "medsyn"
#: How the name of every layer begins that a model made.
SYNTHETIC: Final = "SYNTHETIC"

_UNITS: Final = ("mm", "mm", "mm")

#: Voxels are blended on screen, as everywhere in radiology; the arrays are not touched.
INTERPOLATION: Final = "linear"

#: Body direction of an axis label: row of RAS+ world, and sign.
_DIRECTIONS: Final = {
    "R": (0, 1),
    "L": (0, -1),
    "A": (1, 1),
    "P": (1, -1),
    "S": (2, 1),
    "I": (2, -1),
}

#: Voxels looked at to find contrast limits.
_SAMPLE: Final = 200_000

Role = Literal[
    "scan",
    "imputed",
    "generated",
    "uncertainty",
    "reconstruction",
    "residual",
    "counterfactual",
    "difference",
    "jacobian",
]


@dataclass(frozen=True, eq=False, slots=True)
class Mark:
    """What a layer of ours knows of itself; lies in its metadata under `KEY`.

    Parameters
    ----------
    role : what the layer shows.
    scan : the scan it shows or, for a result, the scan whose grid it lies on.
    modality : of what it shows.
    provenance : of a result that is complete; None while it is not, and for a scan.
    """

    role: Role
    scan: Scan
    modality: str
    provenance: Mapping[str, Any] | None = None

    @property
    def is_synthetic(self) -> bool:
        """Whether a model or a simulator made any of the layer's voxels."""
        return self.role != "scan" or self.scan.is_synthetic


def mark_of(layer: Layer) -> Mark | None:
    """Our mark on `layer`, None where another reader made it."""
    mark = layer.metadata.get(KEY)
    return mark if isinstance(mark, Mark) else None


def placement(grid: Grid) -> dict[str, Any]:
    """Keywords that place the S, P, L array of a scan of `grid` in napari's world, mm."""
    order = display_order(grid)
    return {
        "scale": tuple(order.scale),
        "translate": tuple(order.translate),
        "axis_labels": AXIS_LABELS,
        "units": _UNITS,
    }


def layer_name(scan: Scan) -> str:
    """What the layer of a scan is called; one that nobody scanned says so."""
    name = scan.name or scan.modality or "scan"
    if scan.is_synthetic and not name.startswith(SYNTHETIC):
        return f"{SYNTHETIC} {name}"
    return name


def scan_layer_data(scan: Scan) -> tuple[NDArray[Any], dict[str, Any], str]:
    """What a napari reader gives for `scan`: array, keywords, layer type.

    The array is a view of the scan's voxels, but for a label map, which napari lets the
    user paint: that is a copy.
    """
    array = to_display(scan).array
    keywords = {
        "name": layer_name(scan),
        "metadata": {KEY: Mark("scan", scan, scan.modality)},
        **placement(scan.grid),
    }
    if scan.modality == "label" and np.issubdtype(array.dtype, np.integer):
        return array.copy(), keywords, "labels"
    keywords |= {
        "colormap": "gray",
        "contrast_limits": contrast_limits(scan),
        "interpolation2d": INTERPOLATION,
    }
    return array, keywords, "image"


def contrast_limits(scan: Scan) -> tuple[float, float]:
    """Lower and upper limit for display: the file's window, or robust ends of the range."""
    window = scan.facts.get("window")
    if window:
        centre, width = (float(value) for value in window)
        return centre - width / 2, centre + width / 2
    stride = max(1, round((scan.voxels.size / _SAMPLE) ** (1 / 3)))
    values = np.asarray(scan.voxels[::stride, ::stride, ::stride], dtype=float)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low = float(values.min())
    # Most of a skull-stripped scan is background; it must not set the upper end.
    inside = values[values > low]
    if scan.modality == "CT":
        low = float(np.percentile(values, 1))
    # The fat of the scalp outshines the brain in T1: it may saturate.
    high = float(np.percentile(inside, 99)) if inside.size else low + 1
    return low, high if high > low else low + 1


def scan_from_layer(layer: Image, modality: str = "") -> Scan:
    """The scan that `layer` shows, whoever made the layer.

    A layer of our own gives the scan in its mark.  Of any other, world axes are read as
    the axis labels say (R, L, A, P, S, I), and as S, P, L where they say nothing, which
    is what a reader that hands SimpleITK's or DICOM's coordinates to napari produces.

    Raises
    ------
    UnusableStudy : the layer is no 3D grey-value image.
    """
    mark = mark_of(layer)
    if mark is not None and mark.role != "scan":
        raise UnusableStudy(
            f"{layer.name}: this is a result of a model; the model must not read it as a scan"
        )
    if mark is not None and layer.data.shape == display_order(mark.scan.grid).shape:
        if np.may_share_memory(layer.data, mark.scan.voxels):
            return mark.scan
        # A copy of our layer, or one whose voxels somebody has changed: another scan.
        voxels = from_display(np.asarray(layer.data), mark.scan)
        return replace(mark.scan, voxels=voxels, name=layer.name, id=uuid.uuid4().hex)
    if getattr(layer, "rgb", False) or layer.ndim != 3:
        shape = "colours" if getattr(layer, "rgb", False) else f"{layer.ndim} axes"
        raise UnusableStudy(f"{layer.name}: a scan is a 3D image of grey values, this has {shape}")
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    voxels = np.asarray(data)
    if voxels.dtype.kind not in "biuf":
        raise UnusableStudy(f"{layer.name}: voxels of type {voxels.dtype} are not grey values")
    return Scan(
        voxels=voxels,
        affine=patient_affine(layer),
        modality=modality,
        name=layer.name,
        source=_source(layer),
    )


def patient_affine(layer: Layer) -> NDArray[np.float64]:
    """(4, 4) voxel index of a 3D layer's data to RAS+ world, mm, from its napari transform."""
    corner = np.asarray(layer.data_to_world((0.0, 0.0, 0.0)), dtype=float)
    steps = [np.asarray(layer.data_to_world(unit), dtype=float) - corner for unit in np.eye(3)]
    affine = np.eye(4)
    labels = [str(label).upper() for label in layer.axis_labels]
    if {_DIRECTIONS[name][0] for name in labels if name in _DIRECTIONS} != {0, 1, 2}:
        labels = list(AXIS_LABELS)
    for axis, (label, millimetres) in enumerate(zip(labels, _millimetres(layer), strict=True)):
        row, sign = _DIRECTIONS[label]
        affine[row, :3] = [sign * step[axis] * millimetres for step in steps]
        affine[row, 3] = sign * corner[axis] * millimetres
    return affine


def scan_to_write(data: NDArray[Any], attributes: Mapping[str, Any]) -> Scan:
    """The scan that napari's File > Save is to write, on its own grid in the patient.

    Parameters
    ----------
    data, attributes : of `layer.as_layer_data_tuple()`.

    Raises
    ------
    MedsynError : the layer is a result without complete provenance, is called synthetic
        but has lost its mark, or no longer has the shape of its scan.
    """
    name = str(attributes.get("name", "layer"))
    mark = attributes.get("metadata", {}).get(KEY)
    if not isinstance(mark, Mark):
        if name.startswith(SYNTHETIC):
            raise MedsynError(
                f"{name}: this layer has lost the mark of what made it and is not written; "
                "save the original result from the MedSyn dock"
            )
        from napari.layers import Image

        return scan_from_layer(Image(data, **attributes))
    shape = display_order(mark.scan.grid).shape
    if tuple(data.shape[1:]) == shape and mark.role != "scan":
        raise MedsynError(
            f"{name}: a sweep is written from the MedSyn dock, as volumes or as an animation"
        )
    if tuple(data.shape) != shape:
        raise MedsynError(
            f"{name}: its shape {data.shape} is no longer that of its scan, so its place in "
            "the patient is not known"
        )
    voxels = from_display(np.asarray(data), mark.scan)
    if mark.role == "scan":
        return replace(mark.scan, voxels=voxels)
    if mark.provenance is None:
        raise MedsynError(
            f"{name}: its computation was not completed, so nobody could make it again; "
            "press Impute and save when it is done"
        )
    output = f"{mark.role}_{mark.modality}"
    return result_scan(Finished(0, {output: voxels}, mark.provenance), output, mark.scan)


def _millimetres(layer: Layer) -> list[float]:
    """How many mm one unit is along each world axis; a pixel is taken as 1 mm."""
    from pint import DimensionalityError

    factors = []
    for unit in layer.units:
        try:
            factors.append(float((1 * unit).to("mm").magnitude))
        except DimensionalityError:
            factors.append(1.0)
    return factors


def _source(layer: Layer) -> Any:
    from pathlib import Path

    path = layer.source.path
    return Path(path) if path else None
