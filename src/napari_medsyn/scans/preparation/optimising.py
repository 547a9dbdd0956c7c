"""Finding the affine that makes two images agree: SimpleITK's optimiser, one thread.

All images here lie on grids along the axes of their RAS+ world, so ITK may take that
world for its own: nothing is converted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import Cancelled
from napari_medsyn.scans.geometry import Affine, Grid

ShouldStop = Callable[[], bool]

#: Bins of the joint histogram (Mattes et al. 2003).
BINS = 32


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of the optimiser.

    Parameters
    ----------
    motion : "rigid" 6, "affine" 12 degrees of freedom.
    metric : "information" Mattes mutual information, "squares" mean squared difference.
    shrink : how many voxels of the fixed image become one along each axis.
    step, least_step : first and last length of a step, mm at the image's corners.
    most : iterations at most.
    """

    motion: Literal["rigid", "affine"] = "affine"
    metric: Literal["information", "squares"] = "information"
    shrink: int = 1
    step: float = 2.0
    least_step: float = 0.02
    most: int = 100


def itk_image(values: NDArray[Any], grid: Grid) -> Any:
    """A SimpleITK image of (X, Y, Z) values on a grid along the axes of its world."""
    import SimpleITK as sitk

    kind = np.uint8 if values.dtype == bool else np.float32
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0), dtype=kind))
    image.SetSpacing(np.diag(grid.affine)[:3].tolist())
    image.SetOrigin(grid.affine[:3, 3].tolist())
    return image


def optimise(
    fixed: Any,
    moving: Any,
    start: Affine,
    centre: NDArray[np.float64],
    stage: Stage,
    *,
    mask: Any = None,
    should_stop: ShouldStop | None = None,
) -> tuple[Affine, float]:
    """Improve `start` until the optimiser stops.

    Parameters
    ----------
    fixed, moving : images of `itk_image`.
    start : (4, 4) from the world of `fixed` to that of `moving`, mm.
    centre : (3,) point of the fixed world about which is turned and scaled, mm.
    mask : uint8 image; where the images are compared, on the world of `fixed`.
    should_stop : asked at every iteration.

    Returns
    -------
    (4, 4) from the world of `fixed` to that of `moving`, and the metric there (smaller is
    better).

    Raises
    ------
    Cancelled : `should_stop` said so.
    RuntimeError : the images do not overlap.
    """
    import SimpleITK as sitk

    method = _method(stage, mask)
    transform = _transform(start, centre, stage.motion)
    method.SetInitialTransform(transform, True)
    stopped = []

    def look() -> None:
        if should_stop is not None and should_stop():
            stopped.append(True)
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, look)
    method.Execute(fixed, moving)
    if stopped:
        raise Cancelled("the registration was stopped")
    return _matrix(transform), float(method.GetMetricValue())


def metric_at(
    fixed: Any, moving: Any, where: Affine, centre: NDArray[np.float64], stage: Stage, mask: Any
) -> float:
    """The metric of `stage` at `where`, smaller is better; +inf where nothing overlaps."""
    method = _method(stage, mask)
    method.SetInitialTransform(_transform(where, centre, "affine"), True)
    try:
        return float(method.MetricEvaluate(fixed, moving))
    except RuntimeError:  # ITK's way to say that no sample lies inside
        return float("inf")


def _method(stage: Stage, mask: Any) -> Any:
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    # One thread and one part of the work: sums come out the same every time, whichever
    # of several parts would end first.
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    if stage.metric == "information":
        method.SetMetricAsMattesMutualInformation(BINS)
    else:
        method.SetMetricAsMeanSquares()
    if mask is not None:
        method.SetMetricFixedMask(mask)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        stage.step, stage.least_step, stage.most, relaxationFactor=0.8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([stage.shrink])
    method.SetSmoothingSigmasPerLevel([0.0])
    return method


def _transform(start: Affine, centre: NDArray[np.float64], motion: str) -> Any:
    import SimpleITK as sitk

    transform: Any = sitk.AffineTransform(3) if motion == "affine" else sitk.Euler3DTransform()
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(start[:3, :3].ravel().tolist())
    moved = start[:3, :3] @ centre + start[:3, 3] - centre
    transform.SetTranslation(moved.tolist())
    return transform


def _matrix(transform: Any) -> Affine:
    linear = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix: Affine = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - linear @ centre
    return matrix
