"""Has a generator learnt its training people by heart: distances to the nearest of them.

New people are as far from the training people as people of the test part are; copies are
nearer.  Distances in the space of images and in that of features tell different copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near generated people come to the training people, beside test people.

    Parameters
    ----------
    generated, test : median distance to the nearest training person.
    ratio : generated / test; well below 1 where training people are copied.
    closest : smallest distance of a generated person over the smallest of a test person.
    copies : share of the generated that are nearer than every test person.
    """

    generated: float
    test: float
    ratio: float
    closest: float
    copies: float


def nearest(rows: Rows, reference: Rows) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Root mean squared difference to the nearest row of `reference`, and which one it is.

    Parameters
    ----------
    rows, reference : (n, d), (m, d); not copied, so that they may be images of many voxels.

    Raises
    ------
    ValueError : the widths differ, or a set is empty.
    """
    if rows.ndim != 2 or reference.ndim != 2 or rows.shape[1] != reference.shape[1]:
        raise ValueError(f"rows of shape {rows.shape} and {reference.shape} have no distance")
    if not len(rows) or not len(reference):
        raise ValueError("a set without people has no nearest one")
    distances = np.empty(len(rows))
    which = np.empty(len(rows), np.intp)
    for i, row in enumerate(rows):
        # Differences, not |a|^2 + |b|^2 - 2ab: that loses exactly the small distances.
        squared = [float(np.mean(np.square(row - other, dtype=np.float64))) for other in reference]
        which[i] = int(np.argmin(squared))
        distances[i] = np.sqrt(squared[which[i]])
    return distances, which


def nearness(generated: Rows, test: Rows, train: Rows) -> Nearness:
    """Compare the distances generated to train with those test to train.

    Parameters
    ----------
    generated, test, train : (n, d), (m, d), (k, d) of people; none is both in test and train.

    Raises
    ------
    ValueError : as `nearest`; or a test person is identical with a training person.
    """
    ours, _ = nearest(generated, train)
    theirs, _ = nearest(test, train)
    if theirs.min() == 0:
        raise ValueError("a test person is identical with a training person: the split leaks")
    return Nearness(
        generated=float(np.median(ours)),
        test=float(np.median(theirs)),
        ratio=float(np.median(ours) / np.median(theirs)),
        closest=float(ours.min() / theirs.min()),
        copies=float(np.mean(ours < theirs.min())),
    )
