"""How real MSSG's people look: ``python -m benchmarks.mssg_realism --model A B C``.

All models in one run, each asked for the same number of people of each cohort, covariates as
its label model draws them.  FID and KID are on the deepest features of `judge-tissue-t1`
(averaged over 8 mm slabs, and over the volume), in standard deviations of the real ones; the
reference are people of the validation and test parts, whom no generator has seen.  Beside
them: the same of real training people (the floor), of random halves of the reference, and of
reconstructions (rFID).  Then distances to the nearest training person, and how the slices of
a stack hang together.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.mssg import Maker, real_people, reconstructed
from benchmarks.mssg_control import FIRST_SEED
from benchmarks.mssg_metrics import keep, of_realism
from benchmarks.reporting import report
from napari_medsyn.evaluation.coherence import through_plane
from napari_medsyn.evaluation.crops import Masks, Volumes, brains_of
from napari_medsyn.evaluation.distribution import (
    floor_of_halves,
    frechet_distance,
    kernel_distance,
    standardised,
)
from napari_medsyn.evaluation.features import BrainFeatures, FeatureExtractor
from napari_medsyn.evaluation.memorisation import nearness

if TYPE_CHECKING:
    from training.mssg.sources import Source

#: Issue 5: smoothness through the plane relative to real scans.
SMOOTHNESS = (0.8, 1.25)
#: Blocks of KID; each takes at most so many rows.
BLOCKS, ROWS = 50, 500


@dataclass(frozen=True, eq=False)
class Brains:
    """Some people, and all that is compared of them.

    Parameters
    ----------
    features : of `FeatureExtractor`.
    small : (N, voxels) images of 4 mm, for nearest neighbours.
    smoothness : (N,) of `coherence.through_plane`.
    """

    features: BrainFeatures
    small: NDArray[np.float32]
    smoothness: NDArray[np.float64]

    @classmethod
    def of(cls, extractor: FeatureExtractor, volumes: Volumes, brain: Masks | None) -> Brains:
        """Look at crops once."""
        masks = brains_of(volumes) if brain is None else brain
        smoothness = [through_plane(v, b) for v, b in zip(volumes, masks, strict=True)]
        return cls(extractor.of(volumes, masks), halved(volumes), np.array(smoothness))


def main() -> None:
    """Compare all models with the real people; print tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", nargs="+", default=["mssg-brain-t1"], help="ids or packages")
    parser.add_argument("--n", type=int, default=100, help="people of each cohort and model")
    parser.add_argument("--cohort", nargs="+", default=["ixi", "ms"], choices=["ixi", "ms"])
    parser.add_argument("--reconstructions", type=int, default=10, help="people inverted (30 s)")
    parser.add_argument("--metrics", type=Path, help="file to add the first model's metrics to")
    args = parser.parse_args()
    torch.set_num_threads(1)
    extractor = FeatureExtractor()
    train = dict(zip(("ixi", "ms"), real_people(args.data, "train"), strict=True))
    held = dict(zip(("ixi", "ms"), real_people(args.data, "validation", "test"), strict=True))
    makers = [Maker(which) for which in args.model]
    for cohort in args.cohort:
        seen, unseen = (_of_source(extractor, part[cohort]) for part in (train, held))
        facts = {"cohort": cohort, "n": args.n, "extractor": extractor.name}
        rows = [distances("real, train part", seen, unseen), halves(unseen)]
        near, smooth = [], []
        for maker in makers:
            ours = generated(extractor, maker, cohort, args.n)
            rows.append(distances(maker.name, ours, unseen))
            near += neighbours(maker.name, ours, unseen, seen)
            smooth.append(coherence(maker.name, ours, unseen))
            if cohort == "ixi" and args.reconstructions and maker.card.inputs:
                rows.append(of_reconstructions(extractor, maker, held["ixi"], args.reconstructions))
        report("mssg_realism", rows, **facts)
        report("mssg_realism: nearest training person", near, **facts)
        report("mssg_realism: through the plane", smooth, **facts)
        told = {"model": makers[0].name, "cohort": cohort, "extractor": extractor.name}
        keep(args.metrics, of_realism(rows, near, smooth, **told))


def generated(extractor: FeatureExtractor, maker: Maker, cohort: str, n: int) -> Brains:
    """People of fresh seeds as a model's label model draws them."""
    rng = np.random.default_rng(FIRST_SEED + 2)
    asked = [maker.labels.complete({"cohort": cohort}, rng) for _ in range(n)]
    seeds = range(FIRST_SEED, FIRST_SEED + n)
    return Brains.of(extractor, maker.make(asked, seeds).volumes["T1"], None)


def distances(name: str, ours: Brains, real: Brains) -> dict[str, Any]:
    """FID and KID of slabs and of volumes, and how much people differ from each other."""
    row: dict[str, Any] = {"people": name, "n": len(ours.small)}
    for what in ("slab", "volume"):
        reference, other = standardised(getattr(real.features, what), getattr(ours.features, what))
        kid = kernel_distance(reference, other, blocks=BLOCKS, size=ROWS)
        row |= {
            f"FID {what}": frechet_distance(reference, other),
            f"KID {what}": kid.value,
            f"KID {what} sd": kid.error,
        }
    row["spread"] = float(other.var(axis=0).sum() / reference.var(axis=0).sum())
    return row


def halves(real: Brains) -> dict[str, Any]:
    """The distances of random halves of the real people: the floor at that number."""
    people = {"slab": real.features.owner, "volume": np.arange(len(real.small))}
    row: dict[str, Any] = {"people": "real, halves of the reference", "n": len(real.small) // 2}
    for what, whose in people.items():
        (rows,) = standardised(getattr(real.features, what))
        fid = floor_of_halves(rows, whose, frechet_distance)
        kid = floor_of_halves(
            rows, whose, lambda a, b: kernel_distance(a, b, blocks=5, size=ROWS).value, repeats=5
        )
        row |= {f"FID {what}": fid.value, f"KID {what}": kid.value, f"KID {what} sd": kid.error}
    row["spread"] = 1.0
    return row


def of_reconstructions(
    extractor: FeatureExtractor, maker: Maker, people: Source, n: int
) -> dict[str, Any]:
    """The distances of test people from their own reconstructions: rFID."""
    last = slice(len(people) - n, None)  # the test part comes last
    brain = people.brain[last]
    real = people.images()[last]
    made = np.stack([reconstructed(maker, t1, b)[0] for t1, b in zip(real, brain, strict=True)])
    ours, theirs = (Brains.of(extractor, volumes, brain) for volumes in (made, real))
    return distances(f"{maker.name}, reconstructions", ours, theirs)


def neighbours(name: str, ours: Brains, test: Brains, train: Brains) -> list[dict[str, Any]]:
    """Distances to the nearest training person, of generated and of unseen people."""
    spread = train.features.volume.std(0)
    spaces = {
        "features": [b.features.volume / spread for b in (ours, test, train)],
        "image (4 mm)": [b.small for b in (ours, test, train)],
    }
    rows = []
    for space, parts in spaces.items():
        found = nearness(*parts)
        rows.append(
            {
                "model": name,
                "space": space,
                "generated": found.generated,
                "unseen people": found.test,
                "ratio": found.ratio,
                "closest over closest": found.closest,
                "nearer than anybody unseen": found.copies,
            }
        )
    return rows


def coherence(name: str, ours: Brains, real: Brains) -> dict[str, Any]:
    """Changes through the plane over those within, generated over real."""
    ratio = float(ours.smoothness.mean() / real.smoothness.mean())
    low, high = SMOOTHNESS
    return {
        "model": name,
        "generated": float(ours.smoothness.mean()),
        "real": float(real.smoothness.mean()),
        "ratio": ratio,
        "target": f"{low} to {high}",
        "reached": "yes" if low <= ratio <= high else "no",
    }


def halved(volumes: Volumes) -> NDArray[np.float32]:
    """(N, voxels) of crops at half the resolution, one row each."""
    n, x, y, z = volumes.shape
    blocks = volumes.reshape(n, x // 2, 2, y // 2, 2, z // 2, 2)
    means: NDArray[np.float32] = blocks.mean(axis=(2, 4, 6)).reshape(n, -1)
    return means


def _of_source(extractor: FeatureExtractor, source: Source) -> Brains:
    return Brains.of(extractor, source.images(), source.brain)


if __name__ == "__main__":
    main()
