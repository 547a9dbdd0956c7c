"""What a model made of one seed: images with their provenance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.exploration.requests import Finished
from napari_medsyn.scans.study import Scan

if TYPE_CHECKING:
    from napari_medsyn.scans.geometry import Affine

#: (samples finished, with the fraction of the present one; of how many; what is being done).
Tell = Callable[[float, int, str], None]


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """What a model made of one seed and one set of control values.

    Parameters
    ----------
    seed : fixes all noise; the same seed and values give the same images.
    controls : value of every control of the card, and which modalities were read and given.
    images : output to (X, Y, Z) float32, 0 dark to 1 bright, on the grid of `reference`.
        A flat picture has Z = 1; `scans.pictures.to_picture` gives its rows and columns.
    reference : the scan on whose grid the images are.  For images of nobody an empty one,
        whose axes run to the right, anterior and superior.
    results : the same images as an engine gives them, with their provenance.
    """

    seed: int
    controls: Mapping[str, Any]
    images: Mapping[str, NDArray[np.float32]]
    reference: Scan
    results: Finished

    @property
    def affine(self) -> Affine:
        """(4, 4) float64, voxel index to RAS+ world, mm."""
        return self.reference.affine

    def provenance(self) -> dict[str, Any]:
        """How the images came to be, as JSON values; enough to make them again."""
        return dict(self.results.provenance)

    def as_scans(self) -> tuple[Scan, ...]:
        """Each image as a synthetic scan, in the order of `images`."""
        from napari_medsyn.exploration.saving import result_scan

        return tuple(
            result_scan(self.results, name, self.reference) for name in self.results.arrays
        )
