"""The norms against the healthy people of our data: ``python -m training.simulator.check_norms``.

Prints the constants of `training.simulator.norms` that are fitted to the IXI people of the
train and validation parts, next to what is committed, and how those people lie on the curves.
Nobody of the test part is read.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from training.data.healthy import load_healthy
from training.simulator.norms import (
    HEAD_ML,
    MIDDLE,
    OLDEST,
    TEMPLATE_ML,
    VENTRICLES_ML,
    YOUNGEST,
    Norm,
    mni_ventricles,
)

Floats = NDArray[np.float64]

BANDS = ((20, 35), (35, 50), (50, 65), (65, 86))
#: Cohorts drawn from the norm, for the correlation with age to be expected.
COHORTS = 200
#: Sex of the people of Yamada et al. 2023, Table 1, mean and standard deviation of their ages,
#: mean of their ventricles, ml.
YAMADA = (("F", 46.7, 16.2, 22.6), ("M", 49.8, 17.9, 30.1))


@dataclass(frozen=True, eq=False)
class Cohort:
    """People and their volumes.

    Parameters
    ----------
    age : (N,) years; sex : (N,) "F" or "M".
    ventricles, head : (N,) ml in the people's own space.
    ventricles_mni, head_mni : (N,) ml after affine registration to MNI.
    """

    age: Floats
    sex: NDArray[np.str_]
    ventricles: Floats
    head: Floats
    ventricles_mni: Floats
    head_mni: Floats


def measure(data: Path) -> Cohort:
    """The train and validation people; `data` is the shared folder, not a packed file.

    The released table holds each affine's determinant (native over MNI volume): ventricles
    and brain masks of the MNI grid times it are native volumes.

    Raises
    ------
    UnusableFile
        A file is missing or damaged.
    """
    healthy = load_healthy(data, parts=("train", "validation"))
    table = data / "healthy_t1" / "ixi_qc.csv"
    if not table.is_file():
        raise UnusableFile(table, "there is no such file; --data must be the shared data folder")
    with table.open(encoding="utf-8", newline="") as file:
        scale = {f"ixi-{row['id'][3:6]}": float(row["jac"]) for row in csv.DictReader(file)}
    native = np.array([scale[person] for person in healthy.ids])
    voxel_ml = abs(np.linalg.det(healthy.affine[:3, :3])) / 1000
    head = np.array([int(brain.sum()) for brain in healthy.brain]) * voxel_ml
    ventricles = healthy.ventricle_ml.astype(np.float64)
    age = healthy.age.astype(np.float64)
    return Cohort(age, healthy.sex, ventricles * native, head * native, ventricles, head)


def fit(norm: Norm, values: Floats, cohort: Cohort, *, curved: bool) -> tuple[Norm, float]:
    """`norm` with level and deviation of least squares on the logarithm, and the curvature.

    Slope and ratio of the sexes are held.  Where `curved`, the curvature is fitted too, and
    the norm has it up to the most by which the median does not fall from `YOUNGEST` on; the
    second result is the one without that bound.
    """
    years = cohort.age - MIDDLE
    target = np.log(values) - norm.slope * years - np.log(norm.men) * (cohort.sex == "M")
    free, bound = 0.0, norm.slope / (2 * (MIDDLE - YOUNGEST))
    if curved:
        design = np.stack([np.ones_like(years), years**2], axis=1)
        free = float(np.linalg.lstsq(design, target, rcond=None)[0][1])
    curvature = min(free, bound)
    target = target - curvature * years**2
    level, deviation = float(np.exp(target.mean())), float(target.std(ddof=2 if curved else 1))
    return Norm(level, norm.men, norm.slope, curvature, deviation), free


def scores(norm: Norm, values: Floats, cohort: Cohort) -> Floats:
    """(N,) deviations above the median for the person's age and sex."""
    people = zip(values, cohort.age, cohort.sex, strict=True)
    return np.array([norm.score(value, age, sex) for value, age, sex in people])


def expected_correlation(norm: Norm, cohort: Cohort) -> float:
    """Mean correlation of the logarithm with age in cohorts drawn for the same people."""
    generator = torch.Generator().manual_seed(0)
    people = list(zip(cohort.age, cohort.sex, strict=True))
    found = []
    for _ in range(COHORTS):
        drawn = [norm.draw(age, sex, generator) for age, sex in people]
        found.append(np.corrcoef(cohort.age, np.log(drawn))[0, 1])
    return float(np.mean(found))


def print_constants(cohort: Cohort) -> None:
    ventricles, free = fit(VENTRICLES_ML, cohort.ventricles, cohort, curved=True)
    head, _ = fit(HEAD_ML, cohort.head, cohort, curved=False)
    bent = 1e4 * ventricles.curvature, 1e4 * VENTRICLES_ML.curvature
    rows = (
        ("VENTRICLES_ML.level, ml", ventricles.level, VENTRICLES_ML.level),
        ("VENTRICLES_ML.curvature, 1e-4", *bent),
        ("VENTRICLES_ML.deviation", ventricles.deviation, VENTRICLES_ML.deviation),
        ("HEAD_ML.level, ml", head.level, HEAD_ML.level),
        ("HEAD_ML.deviation (published)", head.deviation, HEAD_ML.deviation),
        ("TEMPLATE_ML, ml", float(cohort.head_mni.mean()), TEMPLATE_ML),
    )
    print(f"{'constant':32}{'fitted':>10}{'committed':>11}")
    for name, fitted, committed in rows:
        print(f"{name:32}{fitted:10.3f}{committed:11.3f}")
    print(f"curvature without its bound: {1e4 * free:.3f}e-4")


def print_table(cohort: Cohort) -> None:
    z = scores(VENTRICLES_ML, cohort.ventricles, cohort)
    people = list(zip(cohort.age, cohort.sex, strict=True))
    native = np.array([VENTRICLES_ML.mean(age, sex) for age, sex in people])
    heads = [HEAD_ML.median(age, sex) for age, sex in people]
    mni = np.array([mni_ventricles(v, head) for v, head in zip(native, heads, strict=True)])
    print("\nventricles, mean ml  native            MNI")
    print("age    sex   n   observed expected  observed expected   z mean    sd")
    for low, high in BANDS:
        for sex in ("F", "M"):
            band = (cohort.age >= low) & (cohort.age < high) & (cohort.sex == sex)
            columns = (cohort.ventricles, native, cohort.ventricles_mni, mni)
            means = [column[band].mean() for column in columns]
            numbers = "".join(f"{mean:9.1f}" for mean in means)
            spread = f"{z[band].mean():9.2f}{z[band].std(ddof=1):6.2f}"
            print(f"{low}-{high - 1}  {sex} {band.sum():5d}  {numbers}{spread}")


def print_summary(cohort: Cohort) -> None:
    z = scores(VENTRICLES_ML, cohort.ventricles, cohort)
    z_head = scores(HEAD_ML, cohort.head, cohort)
    observed = np.corrcoef(cohort.age, np.log(cohort.ventricles))[0, 1]
    expected = expected_correlation(VENTRICLES_ML, cohort)
    print(f"\nventricles: z mean {z.mean():.2f}, sd {z.std(ddof=1):.2f}; ", end="")
    print(f"correlation of the log with age {observed:.2f}, expected {expected:.2f}")
    print(f"head:       z mean {z_head.mean():.2f}, sd {z_head.std(ddof=1):.2f}; ", end="")
    women, men = (z_head[cohort.sex == sex].mean() for sex in ("F", "M"))
    against_age = np.corrcoef(cohort.age, z_head)[0, 1]
    print(f"women {women:.2f}, men {men:.2f}; correlation with age {against_age:.2f}")
    print(f"correlation of both z {np.corrcoef(z, z_head)[0, 1]:.2f}; drawn apart it is 0")
    in_mni = np.log(cohort.ventricles_mni / cohort.ventricles) + VENTRICLES_ML.deviation * z
    sexes = np.stack([np.ones_like(cohort.age), cohort.sex == "M"], axis=1)
    in_mni = in_mni - sexes @ np.linalg.lstsq(sexes, in_mni, rcond=None)[0]
    print(f"spread of the logarithm in MNI beside age and sex {in_mni.std(ddof=2):.2f}")
    for sex, age, deviation, published in YAMADA:
        ages = np.array([NormalDist(age, deviation).inv_cdf((k + 0.5) / 100) for k in range(100)])
        ours = np.mean([VENTRICLES_ML.mean(a, sex) for a in ages.clip(YOUNGEST, OLDEST)])
        print(f"Yamada 2023, {sex}: {published} ml; the norm at such ages {ours:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="The norms against the healthy people.")
    parser.add_argument("--data", type=Path, required=True, help="the shared data folder")
    cohort = measure(parser.parse_args().data)
    print_constants(cohort)
    print_table(cohort)
    print_summary(cohort)


if __name__ == "__main__":
    main()
