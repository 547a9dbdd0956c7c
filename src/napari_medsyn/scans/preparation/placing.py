"""Bringing a study's scans together and into MNI space, each as far as its image asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableStudy
from napari_medsyn.scans.geometry import Affine, Grid
from napari_medsyn.scans.preparation import registration
from napari_medsyn.scans.preparation.optimising import ShouldStop
from napari_medsyn.scans.preparation.registration import WorkingImage, working_image
from napari_medsyn.scans.preparation.resampling import index_map, inverse, resample
from napari_medsyn.scans.preparation.sources import Source
from napari_medsyn.scans.preparation.template import Template, load_template

#: Which scan is registered to the template if there are several, best first.
PREFERENCE = ("T1", "T1c", "T2", "PD", "FLAIR")
#: Overlap with the template's brain below which the user should look at the result.
DOUBTFUL = 0.8


@dataclass(eq=False)
class Placing:
    """Finds `from_reference` of every source and the way to MNI.

    Parameters
    ----------
    sources : the scans, the reference first.
    always : register even what is in place.
    should_stop : asked while registering.

    Attributes
    ----------
    to_model : (4, 4) from the reference scan's world to MNI, mm.
    steps, notes : record and sentences, as in `PreparedStudy`.
    """

    sources: Sequence[Source]
    always: bool
    should_stop: ShouldStop

    def __post_init__(self) -> None:
        self.to_model: Affine = np.eye(4)
        self.steps: list[Mapping[str, Any]] = []
        self.notes: list[str] = []
        self._template: Template = load_template()
        self._driver = min(self.sources, key=_rank)
        self._image = self._working(self._driver)
        self._was_registered = False

    def align(self) -> None:
        """Bring the scans together: rigid, from each to the one that is registered to MNI."""
        from_driver = {id(source): np.eye(4) for source in self.sources}
        for source in self.sources:
            if source is self._driver or self._share_a_brain(source):
                continue
            moving = self._working(source)
            found = self._guarded(
                source,
                lambda m=moving: registration.register_rigidly(self._image, m, self.should_stop),
            )
            from_driver[id(source)] = found
            moved = registration.displacement(found, np.eye(4), self._image.points())
            self._record("align", source, found, moved)
            if moved > 0:
                self.notes.append(
                    f"{source.name} was moved by {moved:.1f} mm to lie on {self._driver.name}."
                )
        to_driver = inverse(from_driver[id(self.sources[0])])
        for source in self.sources:
            source.from_reference = from_driver[id(source)] @ to_driver

    def register(self) -> None:
        """Find the way to MNI; none where the brain is in place."""
        driver = self._driver
        if self._image.brain is None:
            found = self._guarded(
                driver,
                lambda: registration.register_head(self._image, self._template, self.should_stop),
            )
        elif not self.always and self._guarded(
            driver,
            lambda: registration.is_in_place(self._image, self._template, self.should_stop),
        ):
            self._record("register to MNI", driver, np.eye(4), 0.0)
            return
        else:
            found = self._guarded(
                driver,
                lambda: registration.register_brain(
                    self._image, self._template, should_stop=self.should_stop
                ),
            )
        self._was_registered = True
        self._take(found)

    def refine(self, brain: NDArray[np.bool_], grid: Grid, start: Affine) -> None:
        """Register a head again, by its brain alone.

        Parameters
        ----------
        brain : (X, Y, Z) bool on `grid`, the reference grid.
        start : (4, 4) from the reference scan's world to MNI, mm.
        """
        to_reference = inverse(self._driver.from_reference)
        to_brain = index_map(grid, self._image.grid, to_reference)
        image = self._image.cut_out(resample(brain, to_brain, self._image.grid.shape))
        start = start @ to_reference
        if not self.always and self._guarded(
            self._driver,
            lambda: registration.is_in_place(image, self._template, self.should_stop),
        ):
            found = np.eye(4)
        else:
            found = self._guarded(
                self._driver,
                lambda: registration.register_brain(image, self._template, start, self.should_stop),
            )
        self._image = image
        self._take(found)

    def finish(self) -> None:
        """Record where the study lies now; warn if that can hardly be right."""
        if not self._was_registered:
            return
        moved = registration.displacement(self._driver_to_model, np.eye(4), self._image.points())
        self._record("register to MNI", self._driver, self._driver_to_model, moved)
        if self._image.brain is None:
            return
        overlap = registration.brain_overlap(self._image, self._template, self._driver_to_model)
        if overlap < DOUBTFUL:
            self.notes.append(
                f"{self._driver.name} was registered to the MNI template, but only "
                f"{overlap:.0%} of the brains overlap; check the position of the results."
            )

    @property
    def _driver_to_model(self) -> Affine:
        return self.to_model @ inverse(self._driver.from_reference)

    def _take(self, driver_to_model: Affine) -> None:
        if not 0.2 < np.linalg.det(driver_to_model[:3, :3]) < 5:
            raise UnusableStudy(
                f"{self._driver.name}: no brain was found in it by registration to the MNI "
                'template; check the scan, or set registration to "never"'
            )
        self.to_model = driver_to_model @ self._driver.from_reference

    def _share_a_brain(self, source: Source) -> bool:
        """Whether both were cut out of the skull together: then they lie on each other."""
        one, other = self._driver.support, source.support
        if one is None or other is None or not source.grid.matches(self._driver.grid):
            return False
        return registration.overlap(one, other) > registration.SAME_BRAIN and not self.always

    def _working(self, source: Source) -> WorkingImage:
        return working_image(source.voxels, source.grid, source.support)

    def _guarded(self, source: Source, register: Any) -> Any:
        """What `register` gives; ITK's complaint that nothing overlaps as a sentence."""
        try:
            return register()
        except RuntimeError as error:
            raise UnusableStudy(
                f"{source.name}: it cannot be registered, the images do not overlap; check the "
                'scan, or set registration to "never"'
            ) from error

    def _record(self, step: str, source: Source, matrix: Affine, moved: float) -> None:
        self.steps.append(
            {
                "step": step,
                "modality": source.scan.modality,
                "matrix": np.round(matrix, 6).tolist(),
                "median_move_mm": round(moved, 2),
            }
        )


def _rank(source: Source) -> tuple[int, float]:
    """By how well a modality shows anatomy against a T1-like template, then by slices."""
    modality = source.scan.modality
    order = PREFERENCE.index(modality) if modality in PREFERENCE else len(PREFERENCE)
    return order, float(source.grid.spacing.max())
