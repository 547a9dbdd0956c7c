"""Foldings: crisp versions of the template, for people of nobody.

The mean of a hundred people has no folds of its own: where they differ it is grey.  The label
maps of SynthSeg (1 mm, training part, Apache-2.0), carried to the template and painted in the
tissues' mean intensities, have.  Below 4 mm they give the detail, above it the mean stays as
it is, so that age and atrophy are those of the healthy people.  No scan's voxels are in them.

`python -m training.mssg.folds --data ../shared/data --run runs/mssg` reads `registered.npz`
and writes `folds.npz`: T1 and FLAIR of `--count` foldings in template space.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_medsyn.models.mssg.lattice import CONTROLS, LOW, SHAPE, exponential, finer, velocity
from training.data.healthy import Healthy, load_healthy
from training.mssg.flair import ORIGIN
from training.mssg.population import GROUPS, Effort, register, save
from training.simulator.anatomy import Anatomy, load_anatomies
from training.simulator.tissues import CODE, TISSUES, code_table

Array = NDArray[np.float32]

#: Widths, 2 mm voxels: above this the mean template decides, and how sharp a scan is (1 mm).
COARSE, SHARP = 2.0, 0.55


def tissue_means(healthy: Healthy) -> Array:
    """(13,) mean T1 of each tissue code of training people, normalised intensity; 0 first."""
    table = code_table("dlmuse", 256)
    sums, counts = np.zeros(len(TISSUES) + 1), np.zeros(len(TISSUES) + 1)
    for i in range(0, len(healthy), 4):
        tissues = table[healthy.labels[i]]
        inner = tissues * (ndimage.minimum_filter(tissues, 3) == ndimage.maximum_filter(tissues, 3))
        t1 = healthy.volume(i)
        sums += np.bincount(inner.ravel(), t1.ravel(), len(sums))
        counts += np.bincount(inner.ravel(), minlength=len(sums))
    means = sums / np.maximum(counts, 1)
    # Partial volume leaves no fluid and little cortex whole at 2 mm.
    means[CODE["fluid"]] = means[CODE["ventricle"]]
    means[0] = 0
    return means.astype(np.float32)


def at_world(volume: Array, anatomy: Anatomy, u: Tensor) -> Array:
    """(X, Y, Z) of the crop: a volume of the anatomy at x + u(x).

    Parameters
    ----------
    u : (3, *SHAPE) displacement, 2 mm voxels.
    """
    index = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")).astype(np.float32)
    world = (index + u.numpy() + np.array(LOW).reshape(3, 1, 1, 1)) * 2.0
    world += np.array(ORIGIN).reshape(3, 1, 1, 1)
    origin = np.array(anatomy.lattice.origin).reshape(3, 1, 1, 1)
    at = (world - origin) / anatomy.lattice.spacing
    sampled: Array = ndimage.map_coordinates(volume, at, order=1, output=np.float32)
    return sampled


def painted(anatomy: Anatomy, means: Array) -> Array:
    """(X, Y, Z) T1 of a tissue map at 1 mm, a little blurred as scans are."""
    tissues = anatomy.tissues.numpy()
    return ndimage.gaussian_filter(means[tissues], SHARP)  # type: ignore[no-any-return]


def channels_of(anatomy: Anatomy, means: Array) -> Tensor:
    """(1, 7, *SHAPE) as `population.channels`."""
    tissues = anatomy.tissues.numpy()
    still = torch.zeros(3, *SHAPE)
    parts = [painted(anatomy, means), *(_share(tissues, names) for names in GROUPS)]
    parts.append((tissues > 0).astype(np.float32))
    blurred = [at_world(ndimage.gaussian_filter(part, 1.8), anatomy, still) for part in parts]
    return torch.from_numpy(np.stack(blurred))[None]


def _share(tissues: NDArray[np.uint8], names: tuple[str, ...]) -> Array:
    return np.isin(tissues, [CODE[name] for name in names]).astype(np.float32)


def folding(anatomy: Anatomy, template: Tensor, means: Array) -> tuple[Array, float]:
    """(X, Y, Z) painted T1 of an anatomy, carried to the template, and what was left."""
    target = channels_of(anatomy, means)
    p = torch.zeros(1, 3, *CONTROLS)
    for effort in (Effort(60, 0.4, False), Effort(15, 0.2, True)):
        p, left = register(template, target, p, effort)
    with torch.no_grad():
        u = finer(exponential(-velocity(p)))[0]
    print(f"{anatomy.person}: {left:.5f}", flush=True)
    return at_world(painted(anatomy, means), anatomy, u), left


def sharpened(mean: Array, detail: Array, brain: NDArray[np.bool_]) -> Array:
    """`detail` below `COARSE`, `mean` above, within the brain."""
    inside = ndimage.gaussian_filter(brain.astype(np.float32), COARSE)
    low = ndimage.gaussian_filter((mean - detail) * brain, COARSE) / np.maximum(inside, 0.1)
    return ((detail + low) * brain).clip(0, 1.2)  # type: ignore[no-any-return]


def flair_of(t1: Array, flair: Array, detail: Array, brain: NDArray[np.bool_]) -> Array:
    """A FLAIR with a folding's edges.

    Grey matter is brighter than white and fluid dark: a course over the T1's intensity,
    fitted to the mean template's T1 and FLAIR.

    Parameters
    ----------
    t1, flair : (X, Y, Z) mean template.
    detail : (X, Y, Z) T1 of the folding.
    """
    knots = np.linspace(0.1, 1.0, 10)
    inner = brain & (t1 > 0.05)
    design = np.stack([np.interp(t1[inner], knots, row) for row in np.eye(len(knots))], 1)
    course = np.linalg.lstsq(design, flair[inner], rcond=None)[0]
    painted: Array = (np.interp(detail, knots, course) * (detail > 0.05)).astype(np.float32)
    return painted


def main() -> None:
    """Make the foldings; about twenty seconds each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--count", type=int, default=6)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    means = tissue_means(load_healthy(arguments.data, parts=("train",)))
    print({t.name: round(float(means[t.code]), 2) for t in TISSUES})
    with np.load(arguments.run / "registered.npz") as z:
        template = torch.from_numpy(z["template"].astype(np.float32))[None]
    anatomies = load_anatomies(arguments.data, sources=("synthseg",))
    found = [folding(anatomy, template, means) for anatomy in anatomies]
    # Those that fit the template best: atrophied brains among the maps do not.
    best = sorted(range(len(found)), key=lambda i: found[i][1])[: arguments.count]
    save(
        arguments.run / "folds.npz",
        details=np.stack([found[i][0] for i in best]).astype(np.float16),
        ids=np.array([anatomies[i].person for i in best]),
    )


if __name__ == "__main__":
    main()
