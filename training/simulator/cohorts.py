"""Made-up sources of data: who is in them, how they are scanned, and what is recorded.

Real archives each record some of a person's covariates and leave others out, so a model
has to learn from several that never share a table.  Here the truth is known all the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from training.simulator.covariates import Covariates
from training.simulator.looks import Look, Looks
from training.simulator.norms import (
    HEAD_ML,
    MIDDLE,
    OLDEST,
    THICKNESS_MM,
    VENTRICLES_ML,
    YOUNGEST,
    mni_ventricles,
)
from training.simulator.scanner import Scanner, uniform
from training.simulator.simulator import Simulated, Simulator

#: What a source may record of a person; where somebody was scanned is always known.
RECORDABLE = ("age", "sex", "ventricle_ml", "thickness_mm", "head_ml", "lesion_ml")


@dataclass(frozen=True)
class Loads:
    """How large lesion loads are: log-normal.

    Parameters
    ----------
    median_ml : half of the people have more.
    deviation : of the natural logarithm.
    most_ml : larger ones are drawn as this.
    """

    median_ml: float
    deviation: float
    most_ml: float = 60.0

    def draw(self, generator: torch.Generator) -> float:
        """One person's load, ml."""
        if self.median_ml <= 0:
            return 0.0
        normal = float(torch.randn((), generator=generator))
        return min(self.median_ml * math.exp(self.deviation * normal), self.most_ml)


@dataclass(frozen=True, eq=False)
class Cohort:
    """One source of data.

    Parameters
    ----------
    name : as it stands in `Covariates.cohort`.
    recorded : which of `RECORDABLE` the source's own table has.
    ages : youngest and oldest, years, within those of `norms`; all are equally likely.
    women : share, 0 to 1.
    scanner : one scanner's settings.
    loads : of lesions.
    look_seed : of the contrast, which all of the source's scans share.
    look_width : as `Looks.draw`.
    """

    name: str
    recorded: tuple[str, ...]
    ages: tuple[float, float]
    women: float
    scanner: Scanner
    loads: Loads
    look_seed: int
    look_width: float = 0.5

    def __post_init__(self) -> None:
        unknown = sorted(set(self.recorded) - set(RECORDABLE))
        if unknown:
            raise ValueError(f"{', '.join(unknown)} cannot be recorded; {RECORDABLE} can")
        if not YOUNGEST <= self.ages[0] <= self.ages[1] <= OLDEST:
            raise ValueError(f"ages go from {YOUNGEST:g} up to {OLDEST:g}, not as {self.ages}")

    def look(self, looks: Looks) -> Look:
        """The contrast of the source's protocol: always the same."""
        return looks.draw(torch.Generator().manual_seed(self.look_seed), self.look_width)

    def seen(self, truth: Covariates) -> Covariates:
        """What the source's table has of a person."""
        hidden = {name: None for name in RECORDABLE if name not in self.recorded}
        return replace(truth, **hidden)


@dataclass(frozen=True, eq=False)
class Drawn:
    """People of one cohort.

    Parameters
    ----------
    truth : their scans, and in `truth.covariates` everything that is true of them.
    recorded : (N,) what their source has written down; the rest is None.
    """

    cohort: Cohort
    truth: Simulated
    recorded: tuple[Covariates, ...]


def draw_people(
    simulator: Simulator,
    cohort: Cohort,
    anatomies: Sequence[int],
    spacing: float,
    generator: torch.Generator,
) -> list[Covariates]:
    """People with sizes as their age and sex have them; see `norms` for the sources.

    The thickness of a cortex depends on how it is measured, so only its change with age is
    taken from the norm.  What people of one age differ by is that of the anatomies.

    Parameters
    ----------
    anatomies : (N,) which of ``simulator.usable(spacing)`` each is made from.
    """
    people = []
    for which in anatomies:
        age = round(uniform(cohort.ages, generator), 1)
        sex = "F" if float(torch.rand((), generator=generator)) < cohort.women else "M"
        head = HEAD_ML.draw(age, sex, generator)
        own = simulator.usable(spacing)[which].thickness(spacing)
        change = THICKNESS_MM.median(age, sex) / THICKNESS_MM.median(MIDDLE, sex)
        people.append(
            Covariates(
                age=age,
                sex=sex,
                ventricle_ml=mni_ventricles(VENTRICLES_ML.draw(age, sex, generator), head),
                thickness_mm=own * change,
                head_ml=round(head, 1),
                lesion_ml=cohort.loads.draw(generator),
                cohort=cohort.name,
            )
        )
    return people


def draw_cohort(
    simulator: Simulator,
    cohort: Cohort,
    n: int,
    generator: torch.Generator,
    *,
    spacing: float = 2.0,
) -> Drawn:
    """Scan `n` new people of a cohort; whole heads.

    Parameters
    ----------
    spacing : as `Simulator.draw`.
    """
    available = len(simulator.usable(spacing))
    anatomies = torch.randint(available, (n,), generator=generator).tolist()
    people = draw_people(simulator, cohort, anatomies, spacing, generator)
    truth = simulator.draw(
        n,
        generator,
        spacing=spacing,
        covariates=people,
        anatomies=anatomies,
        scanner=cohort.scanner,
        look=cohort.look(simulator.looks),
    )
    return Drawn(cohort, truth, tuple(cohort.seen(c) for c in truth.covariates))


#: Examples, which differ in everything at once, as archives do.
COHORTS = (
    Cohort(
        name="healthy-3T",
        recorded=("age", "sex"),
        ages=(20.0, 80.0),
        women=0.55,
        scanner=Scanner(
            point_spread_mm=(0.4, 0.6), thick_share=0.0, bias=(0.02, 0.06), noise=(0.005, 0.015)
        ),
        loads=Loads(0.0, 0.0),
        look_seed=3,
    ),
    Cohort(
        name="ms-1.5T",
        recorded=("sex", "lesion_ml"),
        ages=(20.0, 60.0),
        women=0.7,
        scanner=Scanner(
            point_spread_mm=(0.6, 0.9), thick_share=0.0, bias=(0.0, 0.03), noise=(0.015, 0.03)
        ),
        loads=Loads(9.0, 1.1),
        look_seed=15,
    ),
    Cohort(
        name="clinic-thick",
        recorded=("age", "ventricle_ml"),
        ages=(40.0, 85.0),
        women=0.5,
        scanner=Scanner(
            point_spread_mm=(0.5, 0.9),
            thick_mm=(4.0, 6.0),
            thick_share=1.0,
            thick_axes=(2,),
            noise=(0.005, 0.02),
        ),
        loads=Loads(2.0, 1.0),
        look_seed=6,
    ),
)
