"""Patients made of the shipped template: brains whose place in MNI space is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medsyn import resources
from napari_medsyn.scans.geometry import Affine, Grid
from napari_medsyn.scans.study import Scan

#: How bright each tissue is, by modality.
LOOK: Mapping[str, Mapping[str, float]] = {
    "T1": {"wm": 900, "gm": 600, "csf": 250},
    "T2": {"wm": 350, "gm": 480, "csf": 1000},
    "FLAIR": {"wm": 600, "gm": 760, "csf": 200},
}


def upright_affine(spacing: float, origin: tuple[float, float, float]) -> Affine:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = origin
    return affine


#: A coarse model grid that holds the whole brain.
MODEL = Grid((41, 49, 41), upright_affine(4.0, (-80.0, -116.0, -74.0)))


def turned(degrees: tuple[float, float, float]) -> Affine:
    """Rotation about x, then y, then z."""
    turn: Affine = np.eye(4)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        one, other = [a for a in range(3) if a != axis]
        step = np.eye(4)
        step[one, one] = step[other, other] = np.cos(angle)
        step[one, other], step[other, one] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    return turn


def shifted(x: float, y: float, z: float) -> Affine:
    shift: Affine = np.eye(4)
    shift[:3, 3] = (x, y, z)
    return shift


def sample(volume: NDArray[np.float32], to_voxels: Affine, grid: Grid) -> NDArray[np.float32]:
    """`volume` at the world points of `grid`, by scipy alone."""
    index = np.indices(grid.shape).reshape(3, -1)
    points = to_voxels[:3, :3] @ (grid.affine[:3, :3] @ index + grid.affine[:3, 3:])
    points += to_voxels[:3, 3:]
    found = ndimage.map_coordinates(volume, points, order=1)
    return np.asarray(found, np.float32).reshape(grid.shape)


def phantom(modality: str, grid: Grid, to_mni: Affine, *, noise: float = 10.0) -> Scan:
    """A brain without skull on `grid`; `to_mni` is its world to MNI, mm."""
    with np.load(resources.folder() / "templates/mni_template_2mm.npz") as stored:
        tissue = sum(level * (stored[name] / 255) for name, level in LOOK[modality].items())
        brain = (stored["brain"] > 127).astype(np.float32)
        to_voxels = np.linalg.inv(stored["affine"]) @ to_mni
    inside = sample(brain, to_voxels, grid) > 0.5
    values = sample((tissue * brain).astype(np.float32), to_voxels, grid)
    rng = np.random.default_rng(len(modality))
    values = np.maximum(values + rng.normal(0, noise, grid.shape), 1) * inside
    return Scan(values.astype(np.int16), grid.affine, modality, f"phantom_{modality}")
