"""The template head's buffers, and every person's coefficients in its bases.

Bases are principal components over training people: of the velocities that `population`
found, and of what is left of their T1 once it is carried to the template (Cootes et al.,
ECCV 1998, whose shape and appearance these are in three dimensions).  Lesion scores come
from the training patients' masks.

`python -m training.mssg.bases --data ../shared/data --run runs/mssg` reads `registered.npz`
and writes `bases.npz` and `people.npz`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_medsyn.models.mssg.lattice import (
    LATTICE,
    coarser,
    exponential,
    velocity,
    warp,
)
from training.data.masks import load_lesion_masks
from training.data.splits import PARTS
from training.mssg.population import GROUPS, save
from training.mssg.sources import Source, load_sources

Array = NDArray[np.float32]

#: Components kept of shape, of appearance, and of the places of lesions.
SHAPES, APPEARANCES, PATIENTS, NOISES = 48, 16, 10, 14
#: Value of the released uint8 volumes that stands for 1.
UNIT = 160.0
#: Share of brain in the template from which a voxel belongs to it.
BRAIN = 0.05
#: Channels of the registered template: T1, the groups of tissue, brain.
T1, WHITE, VENTRICLE = 0, 1, 1 + [g[0] for g in GROUPS].index("ventricle")


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components: a person is mean + coefficients @ basis.

    Parameters
    ----------
    mean : (features,).
    basis : (k, features), each one standard deviation long.
    share : (k,) of the variance.
    """

    mean: Array
    basis: Array
    share: Array

    def coefficients(self, rows: Array) -> Array:
        """(N, k) of rows (N, features), in standard deviations."""
        scale = (self.basis**2).sum(1)
        found: Array = ((rows - self.mean) @ self.basis.T / scale).astype(np.float32)
        return found


def components(rows: Array, k: int, mean: Array | None = None) -> Components:
    """The `k` first principal components of rows (N, features)."""
    middle = rows.mean(0) if mean is None else mean
    centred = (rows - middle).astype(np.float64)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    order = np.argsort(values)[::-1][:k]
    values, vectors = values[order], vectors[:, order]
    basis = (vectors.T @ centred) / np.sqrt(len(rows))
    total = float((centred**2).sum())
    return Components(middle, basis.astype(np.float32), (values / total).astype(np.float32))


def carried(t1: NDArray[np.uint8], p: Tensor) -> Array:
    """(X, Y, Z) T1 of a person, carried to the template."""
    image = torch.from_numpy(t1.astype(np.float32) / UNIT)[None, None]
    with torch.no_grad():
        there: Array = warp(image, exponential(-velocity(p[None])))[0, 0].numpy()
    return there


def lesion_scores(data: Path, generator: np.random.Generator) -> tuple[Array, Array]:
    """Mean (LATTICE) and basis (places, *LATTICE) of the score of lesions.

    The mean is the logarithm of how often patients have lesions at a place, made symmetric.
    The basis is how single patients differ from it, and smooth noise of two sizes for what
    nobody of so few has had.
    """
    masks = load_lesion_masks(data, parts=("train",))
    maps = []
    for mask in masks.masks:
        halves = mask.reshape(91, 2, 109, 2, 91, 2).mean(axis=(1, 3, 5), dtype=np.float32)
        crop = halves[5:85, 5:105, 0:84]
        lattice = coarser(torch.from_numpy(ndimage.gaussian_filter(crop, 1.0))[None, None])
        maps += [lattice[0, 0].numpy(), lattice[0, 0].numpy()[::-1]]
    each = np.stack(maps)
    often = ndimage.gaussian_filter(each.mean(0), 1.2)
    mean = np.log(often + 2e-3)
    own = np.log(np.stack([ndimage.gaussian_filter(m, 0.7) for m in each]) + 0.02)
    patients = components(own.reshape(len(own), -1), PATIENTS).basis.reshape(-1, *LATTICE)
    noises = []
    for number in range(NOISES):
        width = 0.9 if number % 2 else 1.6
        noise = ndimage.gaussian_filter(generator.standard_normal(LATTICE), width)
        noises.append(noise / noise.std() * 0.5)
    basis = np.concatenate([patients, np.stack(noises)])
    return mean.astype(np.float32), basis.astype(np.float32)


def main() -> None:
    """Make the bases; about two minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/data"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    registered = np.load(arguments.run / "registered.npz")
    template = registered["template"].astype(np.float32)
    p = dict(zip(registered["ids"].tolist(), torch.from_numpy(registered["p"]), strict=True))
    sources = [load_sources(arguments.data, arguments.cache, (part,)) for part in PARTS]
    healthy = [ixi for ixi, _ in sources]
    rows = [_carried_people(source, p) for source in healthy]
    # The brain is where the template's is, a little beyond its edge.
    brain = template[-1] > BRAIN
    t1 = rows[0].mean(0)
    appearance = components(rows[0][:, brain], APPEARANCES - 1)
    look = looks_like(sources[0][1], p, t1, brain)
    shapes = np.stack([p[name].numpy().ravel() for name in healthy[0].ids])
    shape = components(shapes, SHAPES, mean=np.zeros(shapes.shape[1], np.float32))
    mean, basis = lesion_scores(arguments.data, np.random.default_rng(5))
    print(f"{brain.sum()} voxels; shape {shape.share.sum():.3f}, appearance "
          f"{appearance.share.sum():.3f} of the variance")  # fmt: skip
    save(
        arguments.run / "bases.npz",
        brain=brain,
        t1=appearance.mean,
        white=np.clip((template[WHITE][brain] - 0.3) / 0.5, 0, 1),
        ventricle=template[VENTRICLE][brain],
        shape_basis=shape.basis,
        appearance_basis=np.concatenate([look[None], appearance.basis]),
        lesion_mean=mean,
        lesion_basis=basis,
        shares=np.concatenate([shape.share, appearance.share]),
    )
    found: dict[str, NDArray[np.generic]] = {}
    for part, (ixi, ms) in zip(PARTS, sources, strict=True):
        for source in (ixi, ms):
            key = f"{source.name}_{part}"
            # Real patients are not registered: they have no coefficients.
            kept = [i for i, name in enumerate(source.anatomy) if name in p]
            is_ms = float(source.name == "ms")
            own = np.stack([p[source.anatomy[i]].numpy().ravel() for i in kept])
            seen = np.stack([carried(source.t1[i], p[source.anatomy[i]])[brain] for i in kept])
            rest = appearance.coefficients(seen - is_ms * look)
            found[f"{key}_ids"] = np.array([source.ids[i] for i in kept])
            found[f"{key}_shape"] = shape.coefficients(own)
            found[f"{key}_appearance"] = np.insert(rest, 0, is_ms, axis=1)
            print(f"{key}: {len(kept)} people")
    save(arguments.run / "people.npz", **found)


def looks_like(ms: Source, p: dict[str, Tensor], t1: Array, brain: NDArray[np.bool_]) -> Array:
    """(voxels,) what T1s of source "ms" have more than those of "ixi", lesions left out.

    Parameters
    ----------
    t1 : (X, Y, Z) mean of source "ixi" in template space.
    """
    total, count = np.zeros(t1.shape, np.float32), np.zeros(t1.shape, np.float32)
    for i, name in enumerate(ms.anatomy):
        if name not in p:
            continue
        healthy = 1 - carried(ms.lesions[i].astype(np.uint8) * np.uint8(UNIT), p[name])
        there = carried(ms.t1[i], p[name])
        kept = (healthy > 0.95).astype(np.float32)
        total += kept * there
        count += kept
    mean = np.where(count > 10, total / np.maximum(count, 1), t1)
    look: Array = ndimage.gaussian_filter(mean - t1, 0.7)[brain].astype(np.float32)
    return look


def _carried_people(source: Source, p: dict[str, Tensor]) -> Array:
    return np.stack([carried(t1, p[n]) for t1, n in zip(source.t1, source.ids, strict=True)])


if __name__ == "__main__":
    main()
