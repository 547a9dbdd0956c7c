"""From scans on any grids to a study on a model's grid, step by step.

Orientation is affine arithmetic.  Registration finds affines.  Each scan's voxels are
interpolated once, from its own grid to the model's, by all affines together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import Cancelled, UnusableStudy
from napari_medsyn.scans.geometry import Affine, Grid
from napari_medsyn.scans.preparation.brain_mask import find_brain, has_skull
from napari_medsyn.scans.preparation.intensity import (
    PERCENTILE,
    IntensityScale,
    correct_bias_field,
    scale_of,
)
from napari_medsyn.scans.preparation.options import PreparationOptions
from napari_medsyn.scans.preparation.placing import Placing
from napari_medsyn.scans.preparation.prepared import (
    LEAST_WEIGHT,
    PreparedStudy,
    ReferenceVolume,
    ReferenceVolumes,
)
from napari_medsyn.scans.preparation.registration import SPACING
from napari_medsyn.scans.preparation.resampling import as_crop, index_map, inverse, resample
from napari_medsyn.scans.preparation.sources import (
    Source,
    above_background,
    sources_of,
    thinned,
)
from napari_medsyn.scans.study import Study

ShouldStop = Callable[[], bool]
Tell = Callable[[int, int, str], None]


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
    return _Preparation(study, target, options, progress, should_stop).run()


class _Preparation:
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
        self._sources, self._given_mask = sources_of(study)
        self._reference = self._sources[0].grid
        self._to_model: Affine = np.eye(4)
        self._steps: list[Mapping[str, Any]] = []
        self._notes: list[str] = []
        self._total = (2 if options.register == "never" else 4) + len(self._sources)
        self._done = 0

    def run(self) -> PreparedStudy:
        """All steps."""
        self._begin("Looking at the scans")
        self._find_supports()
        reference_mask = self._place()
        mask = self._model_mask(reference_mask)
        volumes, scales, views = {}, {}, {}
        for source in self._sources:
            modality = source.scan.modality
            self._begin(f"Preparing {modality or source.name}")
            if self._options.bias_field:
                self._correct(source, reference_mask)
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

    # ------------------------------------------------------------------ where things are

    def _find_supports(self) -> None:
        """See which scans are cut out of the skull."""
        given = self._given_mask
        for source in self._sources:
            self._check()
            if given is not None:
                to_mask = index_map(given.grid, source.grid)
                source.support = resample(given.voxels > 0, to_mask, source.grid.shape) > 0.5
                source.voxels = source.voxels * source.support
            else:
                whole = self._options.brain_mask == "auto" and has_skull(
                    *thinned(source.voxels, source.grid, SPACING)
                )
                source.support = None if whole else above_background(source.voxels)

    def _place(self) -> NDArray[np.bool_]:
        """Bring the scans together and to MNI; give the brain on the reference grid."""
        if self._options.register == "never":
            return self._brain_mask()
        placing = Placing(self._sources, self._options.register == "always", self._should_stop)
        self._begin("Aligning the scans")
        placing.align()
        self._begin("Registering to MNI")
        placing.register()
        self._to_model = placing.to_model
        brain = self._brain_mask()
        if all(source.support is None for source in self._sources):
            self._check()
            placing.refine(brain, self._reference, self._to_model)
            self._to_model = placing.to_model
        placing.finish()
        self._steps.extend(placing.steps)
        self._notes.extend(placing.notes)
        return brain

    def _brain_mask(self) -> NDArray[np.bool_]:
        """The brain on the reference grid: given, cut out already, or computed."""
        self._begin("Finding the brain")
        union = np.zeros(self._reference.shape, bool)
        for source in self._sources:
            if source.support is not None:
                union |= self._on_reference(source, source.support) > 0.5
        method = "given" if self._given_mask is not None else "voxels above background"
        if not any(source.support is not None for source in self._sources):
            union, method = self._computed_mask(), "computed"
        self._steps.append(
            {
                "step": "brain mask",
                "method": method,
                "millilitres": round(float(union.sum() * self._voxel_ml), 1),
            }
        )
        return union

    def _computed_mask(self) -> NDArray[np.bool_]:
        """The brain found in whole heads; its tissues say better where it lies, too."""
        volumes = {
            source.scan.modality: self._on_reference(source, source.voxels)
            for source in self._sources
        }
        found = find_brain(volumes, self._to_model, self._reference, self._should_stop)
        if self._options.register != "never":
            self._to_model = found.to_mni
        return found.mask

    @property
    def _voxel_ml(self) -> float:
        return float(abs(np.linalg.det(self._reference.affine[:3, :3]))) / 1000

    def _model_mask(self, reference_mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        to_reference = index_map(self._reference, self._target, inverse(self._to_model))
        mask: NDArray[np.bool_] = resample(reference_mask, to_reference, self._target.shape) > 0.5
        if not mask.any():
            raise UnusableStudy(
                f"{self._sources[0].name}: no brain lies where the model expects one; set "
                'registration to "always" or check the scan\'s position'
            )
        return mask

    # ------------------------------------------------------------------ intensities

    def _correct(self, source: Source, reference_mask: NDArray[np.bool_]) -> None:
        """Correct the scan's bias field on its own grid."""
        world = inverse(source.from_reference)
        to_reference = index_map(self._reference, source.grid, world)
        inside = resample(reference_mask, to_reference, source.grid.shape) > 0.5
        source.voxels = correct_bias_field(source.voxels, inside, source.grid, self._should_stop)
        self._steps.append({"step": "bias field", "modality": source.scan.modality, "method": "N4"})

    def _view(self, source: Source, reference_mask: NDArray[np.bool_]) -> ReferenceVolume:
        """The scan on the reference grid, its scale found among the brain's voxels."""
        to_voxels = index_map(source.grid, self._reference, source.from_reference)
        shape = self._reference.shape
        crop = as_crop(to_voxels, source.grid.shape, shape)
        if crop is None:
            values = resample(source.voxels, to_voxels, shape)
            # Where the scan does not reach there is nothing to learn about its scale.
            brain = values[reference_mask & (values > 0)]
        else:
            brain = source.voxels[crop.source].transpose(crop.axes)[reference_mask[crop.target]]
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
        world = source.from_reference @ inverse(self._to_model)
        to_voxels = index_map(source.grid, self._target, world)
        values = resample(source.voxels, to_voxels, self._target.shape)
        exact = as_crop(to_voxels, source.grid.shape, self._target.shape) is not None
        if source.support is not None and not exact:
            # A brain cut out fades at its edge into the 0 around it: undo that.
            weights = resample(source.support, to_voxels, self._target.shape)
            np.divide(values, weights, out=values, where=weights > LEAST_WEIGHT)
        volume = scale.normalise(values)
        volume[~mask] = 0
        return volume

    def _on_reference(self, source: Source, voxels: NDArray[Any]) -> NDArray[np.float32]:
        to_voxels = index_map(source.grid, self._reference, source.from_reference)
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
