"""White-matter lesions as multiple sclerosis makes them, placed by rules of anatomy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.anatomy import Volume, smooth_noise


@dataclass(frozen=True)
class Site:
    """Where lesions of one kind lie and how large they are.

    Parameters
    ----------
    count : how many.
    near : "ventricle" or "cortex", what distances are taken from.
    distance : (low, high) mm of the centre from it.
    radius : (low, high) mm of the shorter axes.
    longer : how many times longer the axis away from it is.
    """

    count: int
    near: str
    distance: tuple[float, float]
    radius: tuple[float, float]
    longer: float = 1.0


#: Dawson's fingers, lesions under the cortex, and a few in between.
SITES = (
    Site(20, "ventricle", (2.0, 5.0), (2.4, 4.6), longer=1.8),
    Site(8, "ventricle", (7.0, 16.0), (2.0, 4.0), longer=1.3),
    Site(8, "cortex", (1.5, 2.8), (2.2, 3.4)),
)
_APART_MM = 7.0  # centres of two lesions, at least


def make_lesions(
    white: Volume, ventricle: Volume, cortex: Volume, above: int, rng: np.random.Generator
) -> Volume:
    """Share of lesion in each voxel, 0 to 1, within white matter.

    Parameters
    ----------
    white, ventricle, cortex : (X, Y, Z) fractions, 1 mm voxels.
    above : lowest index along the last axis that may hold a lesion.
    """
    distances = {
        "ventricle": _distance_to(ventricle > 0.5),
        "cortex": _distance_to(cortex > 0.5),
    }
    ragged = 0.30 * smooth_noise(white.shape, 1.8, rng)
    lesion = np.zeros(white.shape, np.float32)
    centres: list[NDArray[np.int64]] = []
    for site in SITES:
        away = distances[site.near]
        direction = np.stack(np.gradient(ndimage.gaussian_filter(away, 2.0)))
        allowed = (white > 0.8) & (away >= site.distance[0]) & (away <= site.distance[1])
        allowed[:, :, :above] = False
        candidates = rng.permutation(np.argwhere(allowed))
        placed = 0
        for centre in candidates:
            if placed == site.count:
                break
            if any(np.linalg.norm(centre - c) < _APART_MM for c in centres):
                continue
            centres.append(centre)
            placed += 1
            axis = direction[(slice(None), *centre)]
            _add_blob(lesion, centre, axis, rng.uniform(*site.radius), site.longer, ragged)
    return np.asarray(lesion * np.clip(1.6 * white - 0.3, 0, 1), np.float32)


def _distance_to(structure: NDArray[np.bool_]) -> Volume:
    return np.asarray(ndimage.distance_transform_edt(~structure), dtype=np.float32)


def _add_blob(
    lesion: Volume,
    centre: NDArray[np.int64],
    axis: NDArray[np.float32],
    radius: float,
    longer: float,
    ragged: Volume,
) -> None:
    """Put a ragged ellipsoid with a soft border into `lesion`, in place."""
    reach = int(np.ceil(2 * radius * longer)) + 2
    box = tuple(
        slice(max(c - reach, 0), min(c + reach + 1, n))
        for c, n in zip(centre, lesion.shape, strict=True)
    )
    offsets = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"))
    offsets = offsets - centre[:, None, None, None]
    unit = axis / max(float(np.linalg.norm(axis)), 1e-6)
    along = np.tensordot(unit, offsets, axes=1)
    across = (offsets**2).sum(axis=0) - along**2
    r = np.sqrt(np.maximum(across, 0) + (along / longer) ** 2) / radius
    soft = 1 / (1 + np.exp((r - 1 + ragged[box]) / 0.12))
    lesion[box] = np.maximum(lesion[box], soft)
