"""The average brain in MNI152 space that scans are registered to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medsyn import resources
from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.preparation.resampling import index_map, resample

FILE = "templates/mni_template_2mm.npz"


@dataclass(frozen=True, eq=False, slots=True)
class Template:
    """An average head with T1-like contrast on an RAS+ grid.

    Parameters
    ----------
    grid : RAS+, in MNI152 world, mm.
    head : (X, Y, Z) float32, T1-like intensity, 0 to 1, skull and scalp with it.
    brain : (X, Y, Z) float32, probability of brain and the fluid around it, 0 to 1.
    """

    grid: Grid
    head: NDArray[np.float32]
    brain: NDArray[np.float32]


def template_path() -> Path:
    """Where the template lies."""
    return resources.folder() / FILE


@cache
def load_template() -> Template:
    """The shipped template; read once.

    Raises
    ------
    UnusableFile : it is missing or damaged.
    """
    path = template_path()
    try:
        with np.load(path, allow_pickle=False) as stored:
            head, brain = stored["t1"], stored["brain"]
            affine = stored["affine"].astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise UnusableFile(
            path, f"the MNI template cannot be read ({error}); install napari-medsyn again"
        ) from error
    x, y, z = head.shape
    given = Grid((x, y, z), affine)
    grid = upright(given)
    turn = index_map(given, grid)
    return Template(
        grid,
        resample(head, turn, grid.shape) / np.float32(max(int(head.max()), 1)),
        resample(brain, turn, grid.shape) / np.float32(255),
    )


def upright(grid: Grid) -> Grid:
    """The same points with array axes to the right, anterior and superior.

    `grid` has axes along the body's: flips and permutations only.
    """
    linear = grid.affine[:3, :3]
    axes = np.abs(linear).argmax(axis=1)
    spacing = np.abs(linear).max(axis=1)
    shape = [grid.shape[axis] for axis in axes]
    last = np.array(grid.shape) - 1
    ends = np.stack([grid.affine[:3, 3], grid.affine[:3, 3] + linear @ last])
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = ends.min(axis=0)
    return Grid((shape[0], shape[1], shape[2]), affine)
