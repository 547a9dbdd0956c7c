"""157 healthy people (IXI, one 3 T scanner) at 2 mm: T1, labels, age, sex, ventricles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.bias import BiasFields, estimate_all
from training.data.multimodal import normalise
from training.data.sources import CACHE, open_source
from training.data.splits import Part
from training.data.splits import people as people_of

#: DLMUSE labels of the ventricles: third, fourth, and the two parts of each lateral one.
VENTRICLES = (4, 11, 49, 50, 51, 52)
#: DLMUSE labels of the lobes' white matter, right and left: frontal, occipital, parietal, temporal.
WHITE_MATTER = (81, 82, 83, 84, 85, 86, 87, 88)


@dataclass(frozen=True, eq=False)
class Healthy:
    """Healthy people on one 2 mm RAS+ grid.

    Parameters
    ----------
    ids : (N,) names of the people ("ixi-012").
    age : (N,) float32, years.
    sex : (N,) "F" or "M".
    t1 : (N, X, Y, Z) uint8, skull-stripped T1 as released, bias field in it; 0 background.
        From a packed file rounded to steps of 4.
    labels : (N, X, Y, Z) uint8, DLMUSE anatomical labels; 0 none.
    brain : (N, X, Y, Z) bool.
    affine : (4, 4) voxel index to MNI world, mm.
    fields : the people's bias fields, in the same order.
    head_scale : (N,) float32, volume of the head itself over its volume on this grid: the
        determinant of the affine map from MNI, 0.54 to 0.93; 1 where it is not known.
    """

    ids: tuple[str, ...]
    age: NDArray[np.float32]
    sex: NDArray[np.str_]
    t1: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    brain: NDArray[np.bool_]
    affine: NDArray[np.float64]
    fields: BiasFields
    head_scale: NDArray[np.float32] = field(default_factory=lambda: np.ones(1, np.float32))

    def __len__(self) -> int:
        return len(self.ids)

    def volume(self, index: int) -> NDArray[np.float32]:
        """(X, Y, Z) T1 of one person without its bias field, normalised.

        0 background, 1 the 99.5th percentile of the brain, at most 1.5; about 20 ms.
        """
        flat = self.t1[index] / self.fields.field(index)
        return normalise(flat, self.brain[index])

    @cached_property
    def ventricle_ml(self) -> NDArray[np.float32]:
        """(N,) volume of the ventricles as labelled (`VENTRICLES`) on this grid, ml.

        The grid is affine to MNI, so this is relative to a head of the template's size.
        """
        return self.volume_ml(VENTRICLES)

    @property
    def native_ventricle_ml(self) -> NDArray[np.float32]:
        """(N,) volume of the ventricles in the head itself, ml; what the released table has."""
        return self.ventricle_ml * self.head_scale

    def volume_ml(self, labels: Sequence[int]) -> NDArray[np.float32]:
        """(N,) volume of some labels together, ml.  Affine to MNI: not the head's own size."""
        wanted = np.zeros(256, bool)
        wanted[list(labels)] = True
        voxel_ml = abs(np.linalg.det(self.affine[:3, :3])) / 1000
        counts = [int(wanted[drawn].sum()) for drawn in self.labels]
        return np.array(counts, np.float32) * np.float32(voxel_ml)


def load_healthy(
    data: Path,
    *,
    parts: Sequence[Part] | None = None,
    people: Sequence[str] | None = None,
    cache: Path | None = None,
) -> Healthy:
    """The healthy people of some parts, or some of them by name.

    Parameters
    ----------
    data : the shared data folder or a packed file.
    parts : of the committed splits; all where None.
    people : names ("ixi-012"), in the order wanted; all of `parts` where None.
    cache : folder for the bias fields, made at the first use (about a minute for all of
        them); ``runs/data`` of the repository where None.

    Raises
    ------
    UnusableFile
        A file is missing or damaged.
    KeyError
        Somebody in `people` is not in the data, or not in `parts`.
    """
    allowed = set(people_of("ixi", *(parts or ())))
    keep = allowed if people is None else allowed & set(people)
    arrays = open_source(data, cache).record("healthy", keep)
    names = arrays["people"].tolist()
    wanted = names if people is None else list(people)
    if strangers := [name for name in wanted if name not in names]:
        raise KeyError(f"{strangers[0]} is not among the healthy people of {parts or 'the data'}")
    rows = np.array([names.index(name) for name in wanted], np.intp)
    t1, brain = arrays["t1"][rows], arrays["brain"][rows]
    if "bias" in arrays:
        coefficients = arrays["bias"][rows]
    else:
        coefficients = estimate_all(t1, brain, cache or CACHE)
    return Healthy(
        tuple(wanted),
        arrays["age"][rows],
        arrays["sex"][rows],
        t1,
        arrays["labels"][rows],
        brain,
        arrays["affine"],
        BiasFields(coefficients, brain),
        arrays["head_scale"][rows],
    )
