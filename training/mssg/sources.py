"""The two sources that MSSG learns from, each with what it records and what is really true.

Source "ixi": healthy people with age, sex and ventricles; nobody looked for lesions.  Source
"ms": multiple sclerosis with age, sex and lesion load; nobody measured ventricles.  Of real
patients there are few, so most of them are simulated (`painting`) from scans of healthy
people of the same part and real lesion masks of patients of the same part.

`python -m training.mssg.sources --data ../shared/data --parts train` prints who they are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medsyn.models.mssg.lattice import LOW, SHAPE
from training.data.grids import to_model_grid
from training.data.healthy import Healthy, load_healthy
from training.data.masks import LesionMasks, load_lesion_masks
from training.data.multimodal import Visit, load_visits
from training.data.splits import PARTS, Part
from training.mssg import painting
from training.simulator.tissues import CODE, code_table

Array = NDArray[np.float32]
Name = Literal["ixi", "ms"]

#: Value of the stored uint8 volumes that stands for 1.
UNIT = 160.0
#: Simulated patients of each part.
SIMULATED: Mapping[str, int] = {"train": 150, "validation": 25, "test": 30}
#: Years by which an anatomy's owner and the mask's may differ.
NEAR = 6.0
#: Smallest and largest load, ml.
LOADS = (0.3, 50.0)
COVARIATES = ("age", "sex", "ventricles", "lesions")
RECORDED: Mapping[str, tuple[str, ...]] = {
    "ixi": ("age", "sex", "ventricles"),
    "ms": ("age", "sex", "lesions"),
}
#: Age at the first visit and sex of the real patients (Lesjak et al. 2016; README of the data).
VISITORS: Mapping[str, tuple[float, str]] = {
    "msv-01": (20.0, "F"),
    "msv-03": (19.0, "M"),
    "msv-12": (19.0, "M"),
}
#: First voxel of the 1 mm model grid that belongs to the crop's first one.
START = (-1, -1, 2)
VERSION = 1


@dataclass(frozen=True, eq=False)
class Source:
    """One cohort.

    Parameters
    ----------
    name : "ixi" or "ms".
    ids : (N,) names.
    t1 : (N, 80, 100, 84) uint8, normalised intensity times 160.
    brain : (N, 80, 100, 84) bool.
    labels : covariate to (N,) float32, NaN where it is not recorded; sex 0 F, 1 M; ml, years.
    truth : the same with everything that is true, NaN where nobody knows.
    lesions : (N, 80, 100, 84) bool, more than half of the voxel.
    anatomy : whose scan it is, or was before it was painted.
    real : (N,) bool, False where lesions were painted.
    """

    name: Name
    ids: tuple[str, ...]
    t1: NDArray[np.uint8]
    brain: NDArray[np.bool_]
    labels: Mapping[str, Array]
    truth: Mapping[str, Array]
    lesions: NDArray[np.bool_]
    anatomy: tuple[str, ...]
    real: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    def images(self) -> Array:
        """(N, 80, 100, 84) float32, normalised intensity."""
        return self.t1.astype(np.float32) / np.float32(UNIT)


def load_sources(
    data: Path, cache: Path, parts: Sequence[Part] = ("train",)
) -> tuple[Source, Source]:
    """Sources "ixi" and "ms" of some parts of the split.

    Parameters
    ----------
    data : the shared data folder or a packed file.
    cache : folder for what takes a minute to make.

    Raises
    ------
    UnusableFile : a file is missing or damaged.
    """
    each = [_cached(data, cache, part) for part in parts]
    first, second = (_joined([pair[i] for pair in each]) for i in (0, 1))
    return first, second


def _cached(data: Path, cache: Path, part: Part) -> tuple[Source, Source]:
    recipe = json.dumps([VERSION, SIMULATED[part], NEAR, LOADS, painting.LOOK, painting.CHANGE,
                         painting.SLICE_BLUR, painting.MASK_BLUR, painting.EDGE])  # fmt: skip
    key = hashlib.sha256(recipe.encode()).hexdigest()[:10]
    path = cache / f"mssg-sources-{part}-{key}.npz"
    if not path.exists():
        sources = _healthy_source(data, part), _patient_source(data, part)
        cache.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part.npz")
        np.savez_compressed(draft, **_all_arrays(sources))  # type: ignore[arg-type]
        os.replace(draft, path)
    with np.load(path) as z:
        return _source(z, "ixi"), _source(z, "ms")


def _all_arrays(sources: Sequence[Source]) -> dict[str, NDArray[np.generic]]:
    return {key: value for source in sources for key, value in _arrays(source).items()}


def _arrays(source: Source) -> dict[str, NDArray[np.generic]]:
    plain: dict[str, NDArray[np.generic]] = {
        "ids": np.array(source.ids),
        "t1": source.t1,
        "brain": np.packbits(source.brain),
        "lesions": np.packbits(source.lesions),
        "anatomy": np.array(source.anatomy),
        "real": source.real,
    }
    for name in COVARIATES:
        plain[f"label_{name}"] = source.labels[name]
        plain[f"truth_{name}"] = source.truth[name]
    return {f"{source.name}_{key}": value for key, value in plain.items()}


def _source(arrays: Mapping[str, NDArray[np.generic]], name: Name) -> Source:
    t1 = np.asarray(arrays[f"{name}_t1"], np.uint8)

    def bits(key: str) -> NDArray[np.bool_]:
        flat = np.unpackbits(np.asarray(arrays[f"{name}_{key}"], np.uint8))[: t1.size]
        return flat.reshape(t1.shape).astype(bool)

    return Source(
        name,
        tuple(arrays[f"{name}_ids"].tolist()),
        t1,
        bits("brain"),
        {c: np.asarray(arrays[f"{name}_label_{c}"], np.float32) for c in COVARIATES},
        {c: np.asarray(arrays[f"{name}_truth_{c}"], np.float32) for c in COVARIATES},
        bits("lesions"),
        tuple(arrays[f"{name}_anatomy"].tolist()),
        np.asarray(arrays[f"{name}_real"], bool),
    )


def _joined(sources: Sequence[Source]) -> Source:
    first = sources[0]
    if len(sources) == 1:
        return first
    return Source(
        first.name,
        tuple(i for s in sources for i in s.ids),
        np.concatenate([s.t1 for s in sources]),
        np.concatenate([s.brain for s in sources]),
        {c: np.concatenate([s.labels[c] for s in sources]) for c in COVARIATES},
        {c: np.concatenate([s.truth[c] for s in sources]) for c in COVARIATES},
        np.concatenate([s.lesions for s in sources]),
        tuple(a for s in sources for a in s.anatomy),
        np.concatenate([s.real for s in sources]),
    )


@dataclass(frozen=True, eq=False)
class _Person:
    """One row of a source: `values` by covariate, NaN where nobody knows."""

    id: str
    t1: Array
    brain: NDArray[np.bool_]
    values: Mapping[str, float]
    anatomy: str
    real: bool
    lesions: NDArray[np.bool_]


def _made(name: Name, folk: Sequence[_Person]) -> Source:
    truth = {c: np.array([one.values[c] for one in folk], np.float32) for c in COVARIATES}
    hidden = np.full(len(folk), np.nan, np.float32)
    images = np.stack([one.t1 for one in folk])
    return Source(
        name,
        tuple(one.id for one in folk),
        np.round(images * UNIT).clip(0, 255).astype(np.uint8),
        np.stack([one.brain for one in folk]),
        {c: truth[c] if c in RECORDED[name] else hidden for c in COVARIATES},
        truth,
        np.stack([one.lesions for one in folk]),
        tuple(one.anatomy for one in folk),
        np.array([one.real for one in folk]),
    )


def cropped(volume: NDArray[Any]) -> NDArray[Any]:
    """(80, 100, 84) of a volume on the healthy people's 2 mm grid."""
    return volume[tuple(slice(low, low + n) for low, n in zip(LOW, SHAPE, strict=True))]


def halved(volume: NDArray[Any]) -> Array:
    """(80, 100, 84) of a volume on the 1 mm model grid: means of the voxels of each 2 mm."""
    blocks = np.zeros([2 * n for n in SHAPE], np.float32)
    source, target = [], []
    for axis, start in enumerate(START):
        index = start + np.arange(2 * SHAPE[axis])
        inside = (index >= 0) & (index < volume.shape[axis])
        source.append(index[inside])
        target.append(np.flatnonzero(inside))
    blocks[np.ix_(*target)] = volume[np.ix_(*source)]
    x, y, z = SHAPE
    means: Array = blocks.reshape(x, 2, y, 2, z, 2).mean(axis=(1, 3, 5))
    return means


def _healthy_person(folk: Healthy, i: int) -> _Person:
    brain = cropped(folk.brain[i])
    values = {
        "age": float(folk.age[i]),
        "sex": float(folk.sex[i] == "M"),
        "ventricles": float(folk.ventricle_ml[i]),
        "lesions": 0.0,
    }
    t1 = cropped(folk.volume(i))
    return _Person(folk.ids[i], t1, brain, values, folk.ids[i], True, np.zeros(SHAPE, bool))


def _healthy_source(data: Path, part: Part) -> Source:
    folk = load_healthy(data, parts=(part,))
    return _made("ixi", [_healthy_person(folk, i) for i in range(len(folk))])


def _patient_source(data: Path, part: Part) -> Source:
    folk = load_healthy(data, parts=(part,))
    masks = load_lesion_masks(data, parts=(part,))
    visits = [v for v in load_visits(data, parts=(part,)) if v.person.startswith("ms")]
    real = [_visitor(visit, masks) for visit in visits if visit.present[0]]
    shares = [halved(to_model_grid(mask, masks.affine)) for mask in masks.masks]
    rng = np.random.default_rng(PARTS.index(part))
    made = [_simulated(folk, masks, shares, n, rng) for n in range(SIMULATED[part])]
    return _made("ms", [*real, *made])


def _visitor(visit: Visit, masks: LesionMasks) -> _Person:
    """A real patient at one visit; ventricles, and most lesion loads, nobody knows."""
    brain = halved(visit.mask.permute(1, 2, 0).numpy()) > 0.5
    t1 = halved(visit.images[0].float().permute(1, 2, 0).numpy()) * brain
    age, sex, load = np.nan, "", np.nan
    lesions = np.zeros(SHAPE, bool)
    if visit.person in VISITORS:
        age, sex = VISITORS[visit.person]
    elif visit.person in masks.person:
        at = masks.person.index(visit.person)
        age, sex, load = float(masks.age[at]), str(masks.sex[at]), float(masks.volume_ml[at])
    if visit.lesions is not None:
        lesions = halved(visit.lesions.permute(1, 2, 0).numpy()) > 0.5
    number = {"F": 0.0, "M": 1.0}.get(sex, np.nan)
    values = {"age": age, "sex": number, "ventricles": np.nan, "lesions": load}
    return _Person(visit.name, t1, brain, values, visit.person, True, lesions)


def _simulated(
    folk: Healthy,
    masks: LesionMasks,
    shares: Sequence[Array],
    number: int,
    rng: np.random.Generator,
) -> _Person:
    """A healthy person with the lesions of one patient of the same sex and about the same age."""
    whose = int(rng.integers(len(masks)))
    same = np.flatnonzero(folk.sex == masks.sex[whose])
    apart = np.abs(folk.age[same] - masks.age[whose])
    near = same[apart <= NEAR]
    i = int(rng.choice(near)) if len(near) else int(same[apart.argmin()])
    chosen = [shares[whose]]
    if rng.random() < 0.4:
        chosen.append(shares[int(rng.integers(len(masks)))])
    load = float(np.clip(masks.volume_ml[whose] * 2 ** rng.uniform(-1.5, 1), *LOADS))
    person = _healthy_person(folk, i)
    tissues = cropped(code_table("dlmuse", 256)[folk.labels[i]])
    white = np.isin(tissues, [CODE[n] for n in ("white", "stem", "cerebellar white")])
    host = ndimage.gaussian_filter(white.astype(np.float32), 0.5) * (white | (person.t1 > 0.6))
    share = painting.lesion_share(painting.lesion_score(chosen, rng), host, load)
    values = {**person.values, "lesions": float(share.sum()) * painting.VOXEL_ML}
    t1 = painting.painted(person.t1, share, rng) * person.brain
    name = f"simulated-{number:03d}"
    return _Person(name, t1, person.brain, values, person.anatomy, False, share > 0.5)


def main() -> None:
    """Print who the sources are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/data"))
    parser.add_argument("--parts", default="train")
    arguments = parser.parse_args()
    for source in load_sources(arguments.data, arguments.cache, arguments.parts.split(",")):
        print(f"{source.name}: {len(source)} people, {int(source.real.sum())} of them real")
        age = source.truth["age"]
        for name in COVARIATES:
            values = source.truth[name]
            known = np.isfinite(values) & np.isfinite(age)
            r = np.corrcoef(values[known], age[known])[0, 1] if values[known].std() > 0 else 0.0
            recorded = int(np.isfinite(source.labels[name]).sum())
            print(
                f"  {name}: {np.nanmean(values):.1f} ± {np.nanstd(values):.1f}, "
                f"{np.nanmin(values):.1f} to {np.nanmax(values):.1f}, with age {r:+.2f}, "
                f"recorded for {recorded}"
            )


if __name__ == "__main__":
    main()
