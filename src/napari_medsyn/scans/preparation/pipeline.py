"""From scans on any grids to a study on a model's grid, step by step.

Orientation is affine arithmetic.  Registration finds affines.  Each scan's voxels are
interpolated once, from its own grid to the model's, by all affines together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import Cancelled, UnusableStudy
from napari_medsyn.scans.geometry import Affine, Grid
from napari_medsyn.scans.preparation.intensity import PERCENTILE, IntensityScale, finite, scale_of
from napari_medsyn.scans.preparation.options import PreparationOptions
from napari_medsyn.scans.preparation.prepared import (
    LEAST_WEIGHT,
    PreparedStudy,
    ReferenceVolume,
    ReferenceVolumes,
)
from napari_medsyn.scans.preparation.resampling import as_crop, index_map, resample
from napari_medsyn.scans.study import Scan, Study

ShouldStop = Callable[[], bool]
Tell = Callable[[int, int, str], None]


@dataclass(eq=False)
class Source:
    """One scan on its way: voxels that can be reckoned with, and where they lie.

    Parameters
    ----------
    voxels : finite, not negative, on the scan's own grid.
    support : bool, the brain on the scan's own grid; None for a scan with a skull.
    from_reference : (4, 4) from the reference scan's world to this scan's, mm.
    """

    scan: Scan
    voxels: NDArray[Any]
    support: NDArray[np.bool_] | None = None
    from_reference: Affine = field(default_factory=lambda: np.eye(4))


def prepare(
    study: Study,
    target: Grid,
    options: PreparationOptions,
    progress: Tell | None = None,
    should_stop: ShouldStop | None = None,
) -> PreparedStudy:
    """Bring `study` to the grid `target` of a model.

    Parameters
    ----------
    study : scans of known modality; one of modality "label" named "brain" or "mask" is
        taken for the brain.  The first other scan's grid is the grid of results.
    target : the model's grid, in MNI152 space.
    progress : told (steps done, steps in all, what comes next).
    should_stop : asked between steps and while registering.

    Raises
    ------
    UnusableStudy : a scan is empty or constant, or no brain lies on the model's grid.
    Cancelled : `should_stop` said so.
    """
    work = Work(study, target, options, progress, should_stop)
    return work.run()


class Work:
    """One preparation under way; `run` does it."""

    def __init__(
        self,
        study: Study,
        target: Grid,
        options: PreparationOptions,
        progress: Tell | None,
        should_stop: ShouldStop | None,
    ) -> None:
        self._study = study
        self._target = target
        self._options = options
        self._progress = progress
        self._should_stop = should_stop or (lambda: False)
        self._given_mask, scans = split_off_mask(study)
        self._sources = [Source(scan, finite(scan.voxels)) for scan in scans]
        self._reference = scans[0].grid
        self._to_model: Affine = np.eye(4)
        self._steps: list[Mapping[str, Any]] = []
        self._notes: list[str] = []
        self._total = 2 + len(scans)
        self._done = 0

    def run(self) -> PreparedStudy:
        """All steps."""
        self._begin("Finding the brain")
        for source in self._sources:
            _refuse_constant(source)
        reference_mask = self._brain_mask()
        self._begin("Placing the brain")
        mask = self._model_mask(reference_mask)
        volumes, scales, views = {}, {}, {}
        for source in self._sources:
            modality = source.scan.modality
            self._begin(f"Preparing {modality or source.scan.name}")
            view = self._view(source, reference_mask)
            scales[modality], views[modality] = view.scale, view
            volumes[modality] = self._on_model(source, view.scale, mask)
        self._check()
        return PreparedStudy(
            volumes=volumes,
            mask=mask,
            grid=self._target,
            reference=self._reference,
            reference_mask=reference_mask,
            to_model=self._to_model,
            scales=scales,
            reference_volumes=ReferenceVolumes(views),
            steps=tuple(self._steps),
            notes=tuple(self._notes),
            content_hash=self._hash(),
        )

    # ------------------------------------------------------------------ steps

    def _brain_mask(self) -> NDArray[np.bool_]:
        """The brain on the reference grid."""
        union = np.zeros(self._reference.shape, bool)
        for source in self._sources:
            source.support = nonzero_region(source.voxels)
            support = self._on_reference(source, source.support)
            union |= support > 0.5
        self._steps.append({"step": "brain mask", "method": "voxels above background"})
        return union

    def _model_mask(self, reference_mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        to_reference = index_map(self._reference, self._target, np.linalg.inv(self._to_model))
        mask: NDArray[np.bool_] = resample(reference_mask, to_reference, self._target.shape) > 0.5
        if not mask.any():
            raise UnusableStudy(
                f"{self._sources[0].scan.name or 'the first scan'}: no brain lies where the model "
                'expects one; set registration to "always" or check the scan\'s position'
            )
        return mask

    def _view(self, source: Source, reference_mask: NDArray[np.bool_]) -> ReferenceVolume:
        """The scan on the reference grid, its scale found among the brain's voxels."""
        to_voxels = index_map(source.scan.grid, self._reference, source.from_reference)
        shape = self._reference.shape
        crop = as_crop(to_voxels, source.scan.grid.shape, shape)
        inside = reference_mask
        if crop is None:
            values = resample(source.voxels, to_voxels, shape)
            # Where the scan does not reach there is nothing to learn about its scale.
            inside = reference_mask & (values > 0)
            brain = values[inside]
        else:
            brain = source.voxels[crop.source].transpose(crop.axes)[inside[crop.target]]
        scale = scale_of(source.scan, brain)
        self._steps.append(
            {
                "step": "intensity",
                "modality": source.scan.modality,
                "percentile": PERCENTILE,
                "low": scale.low,
                "high": scale.high,
            }
        )
        return ReferenceVolume(source.voxels, to_voxels, shape, scale)

    def _on_model(
        self, source: Source, scale: IntensityScale, mask: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """The scan on the model's grid: one interpolation from its own grid."""
        world = source.from_reference @ np.linalg.inv(self._to_model)
        to_voxels = index_map(source.scan.grid, self._target, world)
        values = resample(source.voxels, to_voxels, self._target.shape)
        exact = as_crop(to_voxels, source.scan.grid.shape, self._target.shape) is not None
        if source.support is not None and not exact:
            # A brain cut out fades at its edge into the 0 around it: undo that.
            weights = resample(source.support, to_voxels, self._target.shape)
            np.divide(values, weights, out=values, where=weights > LEAST_WEIGHT)
        volume = scale.normalise(values)
        volume[~mask] = 0
        return volume

    def _on_reference(self, source: Source, voxels: NDArray[Any]) -> NDArray[np.float32]:
        to_voxels = index_map(source.scan.grid, self._reference, source.from_reference)
        return resample(voxels, to_voxels, self._reference.shape)

    # ------------------------------------------------------------------ account

    def _begin(self, phase: str) -> None:
        self._check()
        if self._progress is not None:
            self._progress(self._done, self._total, phase)
        self._done += 1

    def _check(self) -> None:
        if self._should_stop():
            raise Cancelled("the preparation was stopped")

    def _hash(self) -> str:
        digest = hashlib.sha256(self._study.content_hash.encode())
        digest.update(repr((self._target.shape, self._options)).encode())
        digest.update(np.ascontiguousarray(self._target.affine).tobytes())
        digest.update(np.ascontiguousarray(self._to_model).tobytes())
        return digest.hexdigest()


def split_off_mask(study: Study) -> tuple[Scan | None, list[Scan]]:
    """The scan that is a brain mask, or None, and the images.

    Raises
    ------
    UnusableStudy : there is no image.
    """
    scans = [scan for scan in study if scan.modality != "label"]
    if not scans:
        raise UnusableStudy("the study has no image; load a scan first")
    label = study.get("label")
    named = (label.name if label is not None else "").lower()
    if label is not None and ("brain" in named or "mask" in named):
        return label, scans
    return None, scans


def nonzero_region(voxels: NDArray[Any]) -> NDArray[np.bool_]:
    """Voxels above 0 and the holes among them."""
    from scipy import ndimage

    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(voxels > 0)
    return filled


def _refuse_constant(source: Source) -> None:
    if source.voxels.size == 0 or source.voxels.min() == source.voxels.max():
        name = source.scan.name or source.scan.modality or "the scan"
        raise UnusableStudy(f"{name}: the image is empty or constant; load another scan")
