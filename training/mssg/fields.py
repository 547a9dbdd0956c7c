"""Training of the template head's generator: which coefficients go with which covariates.

1. `statistics`: a conditional Gaussian of the coefficients of the people of each source.
2. The mapping network and the affine maps learn to draw from it, for label vectors whose
   missing covariates come from the label model (MSSG: each source completes the other).
3. Adherence: a reader (its own, `reader`; none of the judges') reads age and sex of what is
   made, the head measures the ventricles, and both shall be what was asked for; the rest of
   a person moves no more than it has to.  This stands in the place of MSSG's heads on the
   discriminator, and like there (our change to the published loss) the readers are fitted to
   recorded covariates only.

`python -m training.mssg.fields --data ../shared/data --run runs/mssg --out runs/mssg/multi`
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_medsyn.models.mssg.generator import MultiSourceGenerator
from napari_medsyn.models.mssg.head import TemplateHead
from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.lattice import exponential, velocity, warp
from training.mssg import reader as reading
from training.mssg.buffers import empty_generator, fill_head, save_generator
from training.mssg.sources import Source, load_sources
from training.mssg.statistics import RESIDUALS, Conditional, fit
from training.mssg.surrogate import (
    LOOK,
    TARGETS,
    Instruments,
    Surrogate,
    fit_surrogate,
    readings,
    ventricle_region,
)

Array = NDArray[np.float32]

#: Ridge of the reader; chosen by cross-validation over the training people.
READER_RIDGE = 0.03
#: Label vectors drawn beforehand, to train on.
POOL = 20_000
#: Share of them whose covariates are independent of each other.
FREE = 0.35
#: Weight of the cohort's look among the coefficients.
FIRM = 200.0
#: Made people that the surrogate learns from.
MADE = 2_400


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of the losses.

    Parameters
    ----------
    adherence : of what is read against what is asked: age, sex, ventricles.
    likeness : of the coefficients against those of the conditional Gaussian.
    """

    adherence: tuple[float, float, float] = (3.0, 1.0, 6.0)
    likeness: float = 0.5

    @classmethod
    def of(cls, sources: Sequence[Source]) -> Weights:
        """No adherence to a covariate that none of the sources records."""
        own = cls()
        counted = [
            weight * any(np.isfinite(source.labels[name]).any() for source in sources)
            for weight, name in zip(own.adherence, TARGETS, strict=True)
        ]
        return cls((counted[0], counted[1], counted[2]), own.likeness)


def label_vectors(
    model: LabelModel, n: int, rng: np.random.Generator, cohorts: tuple[str, ...]
) -> Array:
    """(n, 5) to train on: as people are, and any combination within the ranges."""
    ages, rows = (20.0, 82.0), []
    for number in range(n):
        cohort = cohorts[number % len(cohorts)]
        if rng.random() < FREE:
            values: dict[str, Any] = {
                "age": float(rng.uniform(*ages)),
                "sex": str(rng.choice(["F", "M"])),
                "ventricles": float(np.exp(rng.uniform(np.log(7), np.log(60)))),
                "lesions": float(np.expm1(rng.uniform(0, np.log1p(40)))),
            }
        else:
            values = model.complete({"cohort": cohort}, rng)
        rows.append(model.encode(values, cohort))
    return np.stack(rows).astype(np.float32)


class Teacher:
    """What the mapping network is to draw from.

    Parameters
    ----------
    conditional : of shape and appearance together.
    places : numbers of lesion coefficients; they are plain normal.
    """

    def __init__(self, conditional: Conditional, places: int) -> None:
        self._conditional = conditional
        self._places = places

    def draw(self, labels: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Shape and appearance (N, k), and lesion coefficients (N, places)."""
        unit = z * z.square().mean(1, keepdim=True).rsqrt()
        drawn = self._conditional.draw(labels, unit[:, :RESIDUALS])
        return drawn, unit[:, -self._places :]


def people_of(model: LabelModel, run: Path, sources: Sequence[Source]) -> tuple[Tensor, Tensor]:
    """Coefficients (N, k) and label vectors (N, 5; NaN where not recorded) of training people."""
    found = np.load(run / "people.npz")
    rows, labels = [], []
    for source in sources:
        key = f"{source.name}_train"
        rows.append(np.concatenate([found[f"{key}_shape"], found[f"{key}_appearance"]], 1))
        at = {name: i for i, name in enumerate(source.ids)}
        for name in found[f"{key}_ids"].tolist():
            recorded = {k: float(column[at[name]]) for k, column in source.labels.items()}
            labels.append(encoded(model, recorded, source.name))
    return torch.from_numpy(np.concatenate(rows)).float(), torch.from_numpy(np.stack(labels))


def encoded(model: LabelModel, recorded: Mapping[str, float], cohort: str) -> Array:
    """(5,) label vector with NaN for what is not recorded (NaN)."""
    stand_ins = {"age": 45.0, "sex": 0.0, "ventricles": 18.0, "lesions": 0.0}
    known = {k: recorded.get(k, np.nan) for k in stand_ins}
    filled = {k: stand_ins[k] if np.isnan(v) else v for k, v in known.items()}
    values = {**filled, "sex": "FM"[int(filled["sex"])]}
    vector = np.asarray(model.encode(values, cohort), np.float32)
    for place, name in enumerate(stand_ins):
        if np.isnan(known[name]):
            vector[place] = np.nan
    return vector


def make_reader(model: LabelModel, sources: Sequence[Source]) -> reading.Reader:
    """A reader of age and sex, of everybody they are recorded of, in all sources' looks.

    A reader of one source only would take the other's look for age.
    """
    rows, targets, people = [], [], []
    for source in sources:
        kept = np.isfinite(source.labels["age"]) & np.isfinite(source.labels["sex"])
        for i in np.flatnonzero(kept):
            t1 = torch.from_numpy(source.t1[i].astype(np.float32) / 160)[None, None]
            rows.append(reading.features(t1).numpy())
            recorded = {k: float(column[i]) for k, column in source.labels.items()}
            targets.append(encoded(model, recorded, source.name)[:2])
            people.append(source.anatomy[i])
    x, y = np.concatenate(rows), np.stack(targets)
    # Somebody's scan and the one that was painted into it are of one person.
    whose = np.unique(people, return_inverse=True)[1]
    said = reading.cross_validated(x, y, READER_RIDGE, people=whose)
    r = np.corrcoef(said[:, 0], y[:, 0])[0, 1]
    right = ((said[:, 1] > 0) == (y[:, 1] > 0)).mean()
    print(f"reader, cross-validated: age r {r:.3f}, sex {right:.1%} of {len(y)}", flush=True)
    return reading.fit(x, y, READER_RIDGE)


def ventricle_level(head: TemplateHead, run: Path, ixi: Source) -> Tensor:
    """(2,) of `Instruments.level`: fitted to the training people of source "ixi"."""
    with np.load(run / "registered.npz") as z:
        p = dict(zip(z["ids"].tolist(), torch.from_numpy(z["p"]), strict=True))
    region = ventricle_region(head)
    fluid = []
    with torch.no_grad():
        for t1, name in zip(ixi.t1, ixi.ids, strict=True):
            image = torch.from_numpy(t1.astype(np.float32) / 160)[None, None]
            near = warp(region, exponential(velocity(p[name][None])))
            fluid.append(float(reading.fluid_ml(image, near).log()))
    true = np.log(ixi.labels["ventricles"])
    slope, offset = np.polyfit(fluid, true, 1)
    r = np.corrcoef(fluid, true)[0, 1]
    print(f"ventricles by fluid: r {r:.3f}, log = {offset:.2f} + {slope:.2f} log", flush=True)
    return torch.tensor([offset, slope], dtype=torch.float32)


def which(fold: Tensor | None, folds: int) -> Tensor:
    """(N, folds) 1 at each one's folding."""
    if fold is None:
        raise ValueError("this head has no foldings")
    return torch.nn.functional.one_hot(fold, folds).float()


def make_surrogate(
    generator: MultiSourceGenerator, tools: Instruments, drawn: Tensor, seed: int
) -> Surrogate:
    """What the reader says of people around those drawn (MADE, k)."""
    began = time.time()
    torch.manual_seed(seed)
    wide = drawn * (0.6 + torch.rand(len(drawn), 1)) + 0.3 * torch.randn_like(drawn)
    shapes, folds = generator.sizes.shapes, generator.sizes.folds
    fold = torch.randint(1, folds, (len(wide),))
    said = readings(generator.head, tools, wide[:, :shapes], wide[:, shapes:], fold)
    surrogate, r = fit_surrogate(torch.cat([wide, which(fold, folds)], 1), said)
    print(f"surrogate of {len(wide)} people: r {r.numpy().round(4)}, {time.time() - began:.0f} s",
          flush=True)  # fmt: skip
    return surrogate


@dataclass(frozen=True, eq=False)
class Stage:
    """One stretch of training: how long, how fast, and whether adherence counts."""

    steps: int
    rate: float
    adherence: bool


def train(
    generator: MultiSourceGenerator,
    teacher: Teacher,
    pool: Tensor,
    surrogate: Surrogate | None,
    log_ventricles: Tensor,
    weights: Weights,
    stage: Stage,
) -> None:
    """Fit mapping and affine maps.

    Parameters
    ----------
    pool : (n, 5) label vectors to draw from.
    log_ventricles : (2,) mean and standard deviation of log volume in the label vector.
    """
    own = [*generator.mapping.parameters(), *generator.affines.parameters()]
    # How the scanner shows a person is not to be traded for the person's age.
    firm = torch.ones(generator.sizes.shapes + generator.sizes.appearances)
    firm[generator.sizes.shapes + LOOK] = FIRM
    optimiser = torch.optim.Adam(own, stage.rate, betas=(0.0, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, stage.steps)
    totals = torch.zeros(4)
    for step in range(1, stage.steps + 1):
        labels = pool[torch.randint(len(pool), (128,))]
        z = torch.randn(128, generator.sizes.z)
        wanted, places = teacher.draw(labels, z)
        made = generator.coefficients(generator.style(z, labels))
        body = torch.cat([made.shape, made.appearance], 1)
        likeness = ((body - wanted).square() * firm).mean()
        likeness = likeness + (made.lesion - places).square().mean()
        loss = likeness
        if stage.adherence and surrogate is not None:
            fold = generator.fold(z)
            said = surrogate(torch.cat([body, which(fold, generator.sizes.folds)], 1))
            ventricles = (said[:, 2] - log_ventricles[0]) / log_ventricles[1]
            errors = torch.stack(
                [said[:, 0] - labels[:, 0], said[:, 1] - labels[:, 1], ventricles - labels[:, 2]]
            )
            each = errors.square().mean(1)
            loss = weights.likeness * likeness + (each * torch.tensor(weights.adherence)).sum()
            totals[1:] += each.detach()
        totals[0] += likeness.detach()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 1000 == 0:
            print(f"  {step}: {(totals / 1000).numpy().round(4)}", flush=True)
            totals.zero_()


def finish(generator: MultiSourceGenerator, pool: Tensor) -> None:
    """The average style, and the principal directions of styles."""
    with torch.no_grad():
        labels = pool[torch.randint(len(pool), (8000,))]
        w = generator.style(torch.randn(8000, generator.sizes.z), labels)
        generator.mapping.w_avg.copy_(w.mean(0))
        _, values, vectors = torch.linalg.svd(w - w.mean(0), full_matrices=False)
        count = len(generator.directions)
        scale = values[:count, None] / len(w) ** 0.5
        generator.directions.copy_(vectors[:count] * scale)


def main() -> None:
    """Train one generator: of both sources, or of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/data"))
    parser.add_argument("--sources", default="ixi,ms")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--made", type=int, default=MADE)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    model = LabelModel.from_json(json.loads((arguments.run / "labels.json").read_text()))
    names = tuple(arguments.sources.split(","))
    sources = [s for s in load_sources(arguments.data, arguments.cache) if s.name in names]
    generator = empty_generator(arguments.run)
    fill_head(generator.head, arguments.run)
    coefficients, labels = people_of(model, arguments.run, sources)
    teacher = Teacher(fit(coefficients, labels), generator.sizes.places)
    rng = np.random.default_rng(arguments.seed)
    pool = torch.from_numpy(label_vectors(model, POOL, rng, names))
    ixi = load_sources(arguments.data, arguments.cache)[0]
    level = ventricle_level(generator.head, arguments.run, ixi)
    tools = Instruments(make_reader(model, sources), level)
    drawn, _ = teacher.draw(pool[: arguments.made], torch.randn(arguments.made, generator.sizes.z))
    surrogate = make_surrogate(generator, tools, drawn, arguments.seed)
    ends = [model.encode({"ventricles": v}, "ixi")[2] for v in (10.0, 30.0)]
    deviation = (np.log(30.0) - np.log(10.0)) / (ends[1] - ends[0])
    scale = torch.tensor([np.log(10.0) - ends[0] * deviation, deviation], dtype=torch.float32)
    generator.requires_grad_(True)
    weights = Weights.of(sources)
    for stage in (
        Stage(arguments.steps, 2e-3, adherence=False),
        Stage(arguments.steps, 1e-3, adherence=True),
    ):
        train(generator, teacher, pool, surrogate, scale, weights, stage)
    finish(generator, pool)
    save_generator(arguments.out / "generator.safetensors", generator)


if __name__ == "__main__":
    main()
