"""What a scanner's units mean to a model: 0 background, 1 the brightest of the brain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import Cancelled, UnusableStudy
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.study import Scan

#: Percentile of the brain's voxels that becomes 1.
PERCENTILE = 99.5
#: Brighter than this, in normalised intensity, are vessels and spikes: clipped.
BRIGHTEST = 1.5
#: The bias field is found on voxels of about this size, mm: it is smooth.
BIAS_SPACING = 4.0


@dataclass(frozen=True, slots=True)
class IntensityScale:
    """Normalised = clip((value - low) / (high - low), 0, 1.5).

    Parameters
    ----------
    low, high : what becomes 0 and 1, in the scanner's units.
    """

    low: float
    high: float

    def normalise(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """A new array in normalised intensity, float32."""
        out: NDArray[np.float32] = values.astype(np.float32)
        out -= np.float32(self.low)
        out /= np.float32(self.high - self.low)
        return out.clip(0, BRIGHTEST, out=out)

    def restore(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Normalised intensity back to the scanner's units, float32."""
        restored: NDArray[np.float32] = values.astype(np.float32) * np.float32(
            self.high - self.low
        ) + np.float32(self.low)
        return restored


def finite(voxels: NDArray[Any]) -> NDArray[Any]:
    """`voxels` with 0 in the place of NaN, infinities and values below 0.

    Magnitude images have no negative values; where they occur they come from resampling
    or noise.  The same array if there is nothing to mend.
    """
    if voxels.dtype.kind == "b":
        return voxels.astype(np.uint8)
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        voxels = np.nan_to_num(voxels.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if voxels.dtype.kind in "if" and voxels.min(initial=0) < 0:
        voxels = np.maximum(voxels, 0)
    return voxels


def scale_of(scan: Scan, values: NDArray[Any]) -> IntensityScale:
    """The scale of `scan` by the values of its brain.

    Raises
    ------
    UnusableStudy : there are no brain voxels in the scan, or all are alike.
    """
    name = scan.name or scan.modality or "the scan"
    if values.size == 0:
        raise UnusableStudy(f"{name}: no brain lies in this scan; load the whole scan")
    high = float(np.percentile(values, PERCENTILE))
    if not high > 0 or values.min() == values.max():
        raise UnusableStudy(
            f"{name}: the image is empty or constant where the brain should be; load another scan"
        )
    return IntensityScale(0.0, high)


def correct_bias_field(
    voxels: NDArray[Any],
    mask: NDArray[np.bool_],
    grid: Grid,
    should_stop: Callable[[], bool] = lambda: False,
) -> NDArray[np.float32]:
    """`voxels` divided by their bias field (N4, Tustison et al. 2010), found within `mask`.

    Parameters
    ----------
    voxels, mask : (X, Y, Z) on `grid`.

    Returns
    -------
    (X, Y, Z) float32; unchanged where `mask` is empty.
    """
    import SimpleITK as sitk

    if not mask.any():
        return voxels.astype(np.float32)
    image, inside = (
        sitk.GetImageFromArray(np.ascontiguousarray(part.transpose(2, 1, 0)))
        for part in (voxels.astype(np.float32), mask.astype(np.uint8))
    )
    for part in (image, inside):
        part.SetSpacing(grid.spacing.tolist())
    shrink = [max(1, round(BIAS_SPACING / spacing)) for spacing in grid.spacing.tolist()]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)
    n4.AddCommand(sitk.sitkIterationEvent, lambda: n4.Abort() if should_stop() else None)
    n4.Execute(sitk.Shrink(image, shrink), sitk.Shrink(inside, shrink))
    if should_stop():
        raise Cancelled("the preparation was stopped")
    log_field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).transpose(2, 1, 0)
    corrected: NDArray[np.float32] = voxels / np.exp(log_field)
    return corrected.astype(np.float32)
