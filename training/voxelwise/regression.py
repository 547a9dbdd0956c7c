"""Ridge regression of a modality's voxels on polynomials of the others' at the same voxel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations, combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.compare.imputers import Imputed, Volume
from training.compare.scoring import brain, planes, there
from training.data.grids import MODALITIES
from training.data.multimodal import Visit

DEGREE = 3
#: Added to the diagonal of the normal equations, whose rows are means over voxels.
RIDGE = 1e-6
#: Of the brain's voxels, those that are fitted on.
EVERY = 13

#: A monomial: indices of `MODALITIES`, in order, each as often as its power.
Term = tuple[int, ...]


def terms(modalities: Iterable[int], degree: int = DEGREE) -> list[Term]:
    """All monomials of some modalities up to a degree, the constant first."""
    chosen = sorted(modalities)
    powers = (combinations_with_replacement(chosen, d) for d in range(degree + 1))
    return list(chain.from_iterable(powers))


def values(term: Term, intensities: Sequence[Volume]) -> NDArray[np.float64]:
    """A monomial of intensities, one array for each of `MODALITIES`."""
    out = np.ones(intensities[0].shape)
    for modality in term:
        out = out * intensities[modality]
    return out


@dataclass(eq=False)
class VoxelWise:
    """One polynomial for each subset of inputs and each target; knows no neighbourhood.

    Parameters
    ----------
    coefficients : ("T1+T2", "FLAIR") to a weight for each of `terms` of the inputs.
    """

    coefficients: dict[tuple[str, str], NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def fit(cls, visits: Sequence[Visit], every: int = EVERY) -> VoxelWise:
        """Least squares over all visits that have inputs and target; each counts the same."""
        everything = terms(range(len(MODALITIES)))
        place = {term: n for n, term in enumerate(everything)}
        moments = [_moments(visit, everything, every) for visit in visits]
        found = cls()
        for target in range(len(MODALITIES)):
            others = [m for m in range(len(MODALITIES)) if m != target]
            sizes = range(1, len(MODALITIES))
            for subset in chain.from_iterable(combinations(others, n) for n in sizes):
                needed = [MODALITIES[m] for m in (*subset, target)]
                able = [
                    gram
                    for visit, gram in zip(visits, moments, strict=True)
                    if set(needed) <= set(there(visit))
                ]
                if not able:
                    continue
                gram = np.mean(able, axis=0)
                rows = [place[term] for term in terms(subset)]
                square = gram[np.ix_(rows, rows)] + RIDGE * np.eye(len(rows))
                weights = np.linalg.solve(square, gram[rows, place[target,]])
                found.coefficients[_key(subset), MODALITIES[target]] = weights
        return found

    def __call__(self, visit: Visit, present: Sequence[str], slices: Sequence[int]) -> Imputed:
        """Every modality that was fitted from the present ones; no standard deviation."""
        subset = sorted(MODALITIES.index(m) for m in present)
        intensities = [planes(visit, m, slices) for m in MODALITIES]
        features = [values(term, intensities) for term in terms(subset)]
        inside = brain(visit, slices)
        mean = {}
        for (inputs, target), weights in self.coefficients.items():
            if inputs == _key(subset):
                made = sum(w * f for w, f in zip(weights, features, strict=True))
                mean[target] = np.where(inside, np.clip(made, 0, 1.5), 0).astype(np.float32)
        return Imputed(mean, None)

    def save(self, path: Path) -> None:
        """Write the coefficients as JSON."""
        by_name = {f"{i}>{t}": w.tolist() for (i, t), w in self.coefficients.items()}
        path.write_text(json.dumps({"degree": DEGREE, "coefficients": by_name}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> VoxelWise:
        """Read what `save` wrote.

        Raises
        ------
        ValueError : the file is of another degree, or not one of these.
        """
        stored = json.loads(path.read_text())
        if not isinstance(stored, dict) or stored.get("degree") != DEGREE:
            raise ValueError(f"{path} is no regression of degree {DEGREE}; fit it again")
        pairs = ((name.split(">"), w) for name, w in stored["coefficients"].items())
        return cls({(i, t): np.array(w) for (i, t), w in pairs})


def _moments(visit: Visit, everything: Sequence[Term], every: int) -> NDArray[np.float64]:
    """(terms, terms) mean products of all monomials over a visit's brain."""
    mask = visit.mask.numpy()
    intensities = [visit.images[m].numpy()[mask][::every].astype(np.float64) for m in range(4)]
    x = np.stack([values(term, intensities) for term in everything])
    return x @ x.T / x.shape[1]  # type: ignore[no-any-return]


def _key(subset: Sequence[int]) -> str:
    return "+".join(MODALITIES[m] for m in subset)
