"""Whole heads with skull and scalp, in contrasts drawn at random, to test brain extraction on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medsyn.scans.geometry import Affine, Grid
from napari_medsyn.scans.preparation.resampling import index_map, inverse, resample
from training.anatomy import OUTSIDE_BRAIN, LabelMaps, Volume, random_displacement, smooth_noise
from training.mmhvae.simulate import GROUPS, LOOK
from training.templates.make_template import FLUID, SPACING, brain_of, coarser

#: Labels outside the brain, and (lowest, highest) intensity of each modality there.
OUTSIDE: dict[tuple[int, ...], dict[str, tuple[float, float]]] = {
    (506, 514, 515): {"T1": (0.0, 0.2), "T2": (0.0, 0.15), "FLAIR": (0.0, 0.2)},
    (511, 530): {"T1": (0.7, 1.3), "T2": (0.4, 0.9), "FLAIR": (0.3, 1.0)},
    (507, 502, 508, 509): {"T1": (0.4, 0.9), "T2": (0.15, 0.5), "FLAIR": (0.2, 0.7)},
    (512, 516): {"T1": (0.3, 0.7), "T2": (0.2, 0.6), "FLAIR": (0.3, 0.7)},
}
#: Width to strength, mm, of what an affine leaves between two people.
WARP = {30.0: 2.5, 12.0: 0.8}


@dataclass(frozen=True, eq=False)
class Head:
    """One head as a scanner would give it.

    Parameters
    ----------
    volumes : modality to (X, Y, Z) float32.
    brain : (X, Y, Z) bool, the truth.
    grid : of all of them.
    to_mni : (4, 4) world of the grid to MNI, mm: the truth.
    """

    volumes: dict[str, Volume]
    brain: NDArray[np.bool_]
    grid: Grid
    to_mni: Affine


def render_head(
    maps: LabelMaps, index: int, modalities: tuple[str, ...], rng: np.random.Generator
) -> Head:
    """A deformed head at its own scale, with thick slices, receive field and noise."""
    where = np.indices(maps.codes.shape[1:], dtype=np.float32)
    where += random_displacement(where.shape[1:], WARP, rng)
    codes = ndimage.map_coordinates(maps.codes[index], where, order=0, mode="nearest")
    source = Grid(_shape(codes), maps.affine)
    to_mni = inverse(random_affine(rng, scale=(0.84, 0.98), degrees=8.0, shift=15.0))
    thick = rng.uniform(1.0, 3.3)
    grid = _field_of_view((rng.uniform(0.8, 1.2), rng.uniform(0.8, 1.2), thick), to_mni)
    to_source = index_map(source, grid, to_mni)
    volumes = {}
    for modality in modalities:
        painted = _painted(maps.labels, codes, modality, rng)
        volume = resample(painted, to_source, grid.shape)
        volume *= np.exp(0.2 * smooth_noise(grid.shape, 60.0, rng))
        noise = 0.02 * rng.standard_normal((2, *grid.shape), dtype=np.float32)
        volumes[modality] = 400 * np.hypot(volume + noise[0], noise[1])
    inside = (maps.labels > 0) & ~np.isin(maps.labels, OUTSIDE_BRAIN)
    fluid = np.isin(maps.labels, FLUID)
    brain = brain_of(coarser(inside & ~fluid, codes), coarser(fluid, codes))
    affine = maps.affine @ np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] += maps.affine[:3, :3] @ np.full(3, (SPACING - 1) / 2)
    to_brain = index_map(Grid(_shape(brain), affine), grid, to_mni)
    truth = resample(brain, to_brain, grid.shape, average=False) > 0.5
    return Head(volumes, truth, grid, to_mni)


def random_affine(
    rng: np.random.Generator, scale: tuple[float, float], degrees: float, shift: float
) -> Affine:
    """Scales along the axes, then a turn about each axis, then a shift in mm."""
    linear = np.diag(rng.uniform(*scale, 3))
    for axis, angle in enumerate(np.deg2rad(rng.uniform(-degrees, degrees, 3))):
        turn = np.eye(3)
        one, other = (axis + 1) % 3, (axis + 2) % 3
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        linear = turn @ linear
    matrix: Affine = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = rng.uniform(-shift, shift, 3)
    return matrix


def _painted(
    labels: NDArray[np.int64], codes: NDArray[np.uint8], modality: str, rng: np.random.Generator
) -> Volume:
    table = np.zeros(len(labels), np.float32)
    for name, members in GROUPS.items():
        look = LOOK[name][modality] * rng.uniform(0.85, 1.15)
        table[np.isin(labels, members)] = look
    for members, ranges in OUTSIDE.items():
        table[np.isin(labels, members)] = rng.uniform(*ranges[modality])
    image = table[codes]
    image *= 1 + 0.06 * smooth_noise(codes.shape, 2.0, rng)
    image *= 1 + 0.06 * smooth_noise(codes.shape, 8.0, rng)
    return np.asarray(ndimage.gaussian_filter(image, 0.7), np.float32)


def _field_of_view(spacing: tuple[float, float, float], to_mni: Affine) -> Grid:
    """A box about where MNI's origin came from, large enough for a head without its neck."""
    size = np.array([190.0, 240.0, 180.0])
    shape = np.ceil(size / spacing).astype(int)
    affine: Affine = np.diag([*spacing, 1.0])
    middle = inverse(to_mni)[:3, :3] @ [0.0, -15.0, 15.0] + inverse(to_mni)[:3, 3]
    affine[:3, 3] = middle - size / 2
    x, y, z = shape.tolist()
    return Grid((x, y, z), affine)


def _shape(array: NDArray[np.generic]) -> tuple[int, int, int]:
    x, y, z = array.shape
    return x, y, z
