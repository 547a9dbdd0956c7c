"""Slices of a scan with the outlines of drawn and of found lesions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.harness.figures import mosaic
from training.harness.recipe import Picture
from training.judges.lesions.scoring import Mask

Volume = NDArray[np.float32]
#: Colours (red, green, blue) of the outlines; where both lie, both add up.
DRAWN, FOUND = (0.0, 1.0, 0.0), (1.0, 0.15, 0.15)
#: Slices between two rows of the picture, at least; times that a voxel is enlarged.
APART, ENLARGED = 6, 3


def outlines(
    scans: Sequence[Volume], found: Sequence[Mask], truth: Mask, most: int = 4
) -> NDArray[np.float32]:
    """(H, W, 3) in [0, 1]: a row for each of the slices with most lesion, a column a scan.

    Parameters
    ----------
    scans, found : (X, Y, Z), normalised intensity and lesions, one for each column.
    truth : (X, Y, Z) drawn lesions.
    """
    rows = [
        [
            outlined(scan[:, :, k], truth[:, :, k], mask[:, :, k])
            for scan, mask in zip(scans, found, strict=True)
        ]
        for k in heights(truth, most)
    ]
    channels = [
        mosaic([[cell[..., colour] for cell in row] for row in rows]) for colour in range(3)
    ]
    return np.stack(channels, axis=-1).astype(np.float32)


def heights(truth: Mask, most: int) -> list[int]:
    """At most `most` slices, those with most lesion, at least `APART` from each other."""
    load = truth.sum(axis=(0, 1))
    kept: list[int] = []
    for k in load.argsort()[::-1].tolist():
        if load[k] and all(abs(k - other) >= APART for other in kept):
            kept.append(k)
    return sorted(kept[:most])


def outlined(scan: Picture, truth: Mask, found: Mask) -> Picture:
    """(H, W, 3): one (X, Y) slice in RAS+, anterior up, the patient's right on the left side."""
    grey, *masks = (
        np.kron(plane.T[::-1, ::-1], np.ones((ENLARGED, ENLARGED)))
        for plane in (scan, truth, found)
    )
    picture = np.repeat(np.clip(grey / 1.2, 0, 1)[..., None], 3, axis=-1)
    edges = [mask.astype(bool) & ~ndimage.binary_erosion(mask) for mask in masks]
    picture[edges[0] | edges[1]] = 0
    for edge, colour in zip(edges, (DRAWN, FOUND), strict=True):
        picture[edge] += colour
    shown: Picture = np.clip(picture, 0, 1)
    return shown
