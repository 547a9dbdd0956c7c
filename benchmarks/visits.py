"""The real visits that imputation is scored on: files, truth, and a trivial baseline.

Truth is on the patient's own grid: each scan in its file's voxels, 0 outside the brain, 1
at the 99.5th percentile of the brain, and clipped at 1.5 as every scan in normalised
intensity is.  (Only vessels after contrast are brighter, up to 2.7; unclipped they would
stretch the range that PSNR is relative to, and flatter T1c.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from training.data.splits import part_of

from napari_medsyn.scans.geometry import Affine
from napari_medsyn.scans.reading import read_scan
from napari_medsyn.scans.study import Scan, Study

MODALITIES = ("T1", "T1c", "T2", "FLAIR")
PERCENTILE, BRIGHTEST = 99.5, 1.5

Volume = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Visit:
    """One person's scans at one time.

    Parameters
    ----------
    person : who; all visits of a person are on one side of a split.
    cohort : part of the split ("train", "validation", "test") or "own scale".
    folder : holds one file for each modality, and the brain mask.
    placement : (4, 4) what is done to the world of the files, mm; None for nothing.
    """

    person: str
    name: str
    cohort: str
    folder: Path
    placement: Affine | None = None

    @property
    def there(self) -> tuple[str, ...]:
        """The modalities of this visit."""
        return tuple(m for m in MODALITIES if (self.folder / f"{m}.nii.gz").exists())

    def scan(self, modality: str) -> Scan:
        """One scan, where `placement` puts it."""
        scan = read_scan(self.folder / f"{modality}.nii.gz").with_modality(modality)
        if self.placement is None:
            return scan
        # As a file of its own would be: what its header says of MNI goes, too.
        return Scan(scan.voxels, self.placement @ scan.affine, modality, name=modality)

    def study(self, present: Iterable[str]) -> Study:
        """The scans a model may read: the others are not even loaded."""
        return Study(tuple(self.scan(m) for m in present))

    @cached_property
    def brain(self) -> NDArray[np.bool_]:
        """The mask of the data set; where it has none, all that any scan shows."""
        path = self.folder / "brain.nii.gz"
        if path.exists():
            mask: NDArray[np.bool_] = read_scan(path).voxels > 0
            return mask
        return np.any([self.scan(m).voxels > 0 for m in self.there], axis=0)  # type: ignore[no-any-return]

    def truth(self, modality: str) -> Volume:
        """The scan in normalised intensity, 0 outside the brain."""
        voxels = self.scan(modality).voxels.astype(np.float32)
        scaled: Volume = voxels / np.float32(np.percentile(voxels[self.brain], PERCENTILE))
        return np.where(self.brain, scaled.clip(0, BRIGHTEST), np.float32(0))


@dataclass(frozen=True, slots=True)
class Case:
    """What is given and what is asked for.

    Parameters
    ----------
    kind : "others" (all other modalities that the visit has) or "T1" (nothing else).
    """

    kind: str
    present: tuple[str, ...]
    targets: tuple[str, ...]


def cases(visit: Visit) -> list[Case]:
    """Each modality from the others, and all from T1 alone."""
    there = visit.there
    found = [Case("others", tuple(m for m in there if m != t), (t,)) for t in there]
    if "T1" in there:
        found.append(Case("T1", ("T1",), tuple(m for m in there if m != "T1")))
    return found


def load_visits(data: Path, *, own_scale: bool = False) -> list[Visit]:
    """Every multi-modal visit of the shared data; patient 07 again at another scale."""
    visits = [
        Visit(person, folder.name, part_of(person.replace("patient", prefix)), folder)
        for prefix, pattern in (("ms-", "ms/*/"), ("msv-", "ms_visits/*/"))
        for folder in sorted(data.glob(pattern))
        for person in [folder.name.split("_")[0]]
    ]
    if own_scale:
        visits += [
            replace(visit, name=f"{visit.name} own scale", cohort="own scale",
                    placement=another_scale())
            for visit in visits if visit.name == "patient07"
        ]  # fmt: skip
    glioma = data / "glioma" / "case00001"
    if glioma.is_dir():
        visits.append(Visit("glioma", "glioma", part_of("glioma-00001"), glioma))
    return visits


def another_scale(
    factor: float = 0.87,
    degrees: Sequence[float] = (4.0, -3.0, 5.0),
    shift_mm: Sequence[float] = (6.0, -9.0, 12.0),
) -> Affine:
    """(4, 4) MNI world to a patient's: shrunk, turned and moved by a little, mm."""
    linear = np.eye(3) * factor
    for axis, angle in enumerate(np.deg2rad(degrees)):
        i, j = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        linear = turn @ linear
    placement = np.eye(4)
    placement[:3, :3], placement[:3, 3] = linear, shift_mm
    return placement


class LinearBaseline:
    """The best linear map of the inputs to the target, voxel by voxel, with an offset.

    Fitted by least squares on the brains of those who were trained on; it knows nothing of
    neighbourhood or place.

    Parameters
    ----------
    visits : all visits there are.
    every : of the brain's voxels that are used.
    """

    def __init__(self, visits: Iterable[Visit], every: int = 13) -> None:
        self._visits = [v for v in visits if v.cohort != "own scale"]
        self._every = every
        self._samples: dict[str, dict[str, Volume]] = {}
        self._fits: dict[Any, NDArray[np.float64] | None] = {}

    def fit(
        self, held_out: frozenset[str], present: tuple[str, ...], target: str
    ) -> NDArray[np.float64] | None:
        """(1 + inputs,) offset and weights; None if nobody has these modalities."""
        key = held_out, present, target
        if key not in self._fits:
            needed = {*present, target}
            able = [v for v in self._visits if v.person not in held_out and needed <= set(v.there)]
            self._fits[key] = self._solved(able, present, target) if able else None
        return self._fits[key]

    def predict(
        self, visit: Visit, weights: NDArray[np.float64], present: tuple[str, ...]
    ) -> Volume:
        """The target of `visit` in normalised intensity."""
        out = np.full(visit.brain.shape, np.float32(weights[0]))
        for weight, modality in zip(weights[1:], present, strict=True):
            out += np.float32(weight) * visit.truth(modality)
        return np.where(visit.brain, out, np.float32(0))

    def _solved(
        self, visits: Sequence[Visit], present: tuple[str, ...], target: str
    ) -> NDArray[np.float64]:
        square, right = np.zeros((len(present) + 1,) * 2), np.zeros(len(present) + 1)
        for visit in visits:
            values = self._sampled(visit)
            x = np.stack([np.ones_like(values[target]), *(values[m] for m in present)])
            # Each visit counts the same, whatever its voxel size.
            square += x @ x.T / x.shape[1]
            right += x @ values[target] / x.shape[1]
        return np.asarray(np.linalg.solve(square, right), np.float64)

    def _sampled(self, visit: Visit) -> Mapping[str, Volume]:
        if visit.name not in self._samples:
            self._samples[visit.name] = {
                m: visit.truth(m)[visit.brain][:: self._every].astype(np.float64)
                for m in visit.there
            }
        return self._samples[visit.name]
