"""How large the ventricles and heads of healthy adults are, how thick their cortex, by age and sex.

Each measure is log-normal at every age, with a median that is a quadratic curve of age on
the log scale and a ratio of men to women (`Norm`).  Slopes, ratios of the sexes and, where it
says so, levels and spreads are published numbers; each constant names the page that it was
read from.  What depends on the tool that segments is fitted to the IXI people of the train
and validation parts, as labelled in our data: ``python -m training.simulator.check_norms``
prints those constants anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import torch

#: Ages, years, that the curves are for.
YOUNGEST, OLDEST = 20.0, 85.0
#: Age, years, at which `Norm.level` holds.
MIDDLE = 50.0


@dataclass(frozen=True)
class Norm:
    """A measure of healthy adults, log-normal at each age.

    Parameters
    ----------
    level : women's median at `MIDDLE`, in the measure's unit.
    men : men's median over women's of the same age.
    slope : of the logarithm of the median at `MIDDLE`, per year.
    curvature : of the logarithm of the median, per square year: the coefficient of
        ``(age - MIDDLE) ** 2``.
    deviation : standard deviation of the logarithm among people of one age and sex.

    Every method takes the age in years, from `YOUNGEST` to `OLDEST`, and the sex, "F" or
    "M"; anything else is a ValueError.
    """

    level: float
    men: float
    slope: float
    curvature: float
    deviation: float

    def median(self, age: float, sex: str) -> float:
        """The value that half of the people of this age and sex exceed."""
        if not YOUNGEST <= age <= OLDEST:
            raise ValueError(f"the norms are for {YOUNGEST:g} to {OLDEST:g} years, not {age:g}")
        if sex not in ("F", "M"):
            raise ValueError(f"sex is 'F' or 'M', not {sex!r}")
        years = float(age) - MIDDLE
        ratio = self.men if sex == "M" else 1.0
        return self.level * ratio * math.exp(self.slope * years + self.curvature * years**2)

    def mean(self, age: float, sex: str) -> float:
        """The arithmetic mean, above the median by ``exp(deviation**2 / 2)``."""
        return self.median(age, sex) * math.exp(self.deviation**2 / 2)

    def spread(self, age: float, sex: str) -> float:
        """The standard deviation, in the unit of the measure: it grows with the mean."""
        return self.mean(age, sex) * math.sqrt(math.expm1(self.deviation**2))

    def draw(self, age: float, sex: str, generator: torch.Generator) -> float:
        """One person's value; `generator` is one of the CPU."""
        normal = float(torch.randn((), generator=generator, dtype=torch.float64))
        return self.median(age, sex) * math.exp(self.deviation * normal)

    def score(self, value: float, age: float, sex: str) -> float:
        """Deviations of the logarithm above the median; `value` is positive."""
        return math.log(value / self.median(age, sex)) / self.deviation

    def percentile(self, value: float, age: float, sex: str) -> float:
        """Share of the people of this age and sex below `value`, 0 to 100."""
        return 100 * NormalDist().cdf(self.score(value, age, sex))


#: Lateral, third and fourth ventricles together, ml, in the person's own space.
#:
#: slope: about 20 % more per decade of age in both sexes, faster from the fifth (men) or sixth
#:   (women) decade on: Kaye et al. 1992, J Am Geriatr Soc 40:225, abstract.
#: men: 22.9 ml against 18.1 ml in 99 men and 119 women of their 20s and 40s: Neurosci Lett
#:   2006, 395:155, abstract.  Yamada et al. 2023, Eur Radiol 33:7099, Table 1, has 30.1 against
#:   22.6 ml, the men 3.1 years older: the same ratio once those years are taken off.
#: curvature: that they grow faster with age is in Kaye, Yamada and Walhovd et al. 2011,
#:   Neurobiol Aging, abstract.  How much: least squares on IXI train and validation with slope
#:   and men held gives 3.9e-4, by which ventricles would shrink before 26; this is the most by
#:   which they do not after 20.
#: level: fitted to IXI train and validation, native space, as DLMUSE labels them.  Yamada's
#:   women have 30 %, his men 26 % more than the curve at their ages, by another tool.
#: deviation: fitted likewise.  Yamada's coefficients of variation, 0.46 in either sex, give
#:   0.44 with the effect of age in it and 0.31 with this slope's taken out.
VENTRICLES_ML = Norm(
    level=15.2,
    men=22.9 / 18.1,
    slope=math.log(1.2) / 10,
    curvature=math.log(1.2) / 10 / (2 * (MIDDLE - YOUNGEST)),
    deviation=0.365,
)

#: Mean thickness of the cerebral cortex, mm.
#:
#: level: 2.5 mm on average: Fischl & Dale 2000, PNAS 97:11050, p. 11050; taken for 28.5 years,
#:   the middle of the ages, 20 to 37, of those they measured (gyri 2.7, sulci 2.2 mm, p. 11052).
#:   Controls of other studies: 2.48 mm (PMID 17361339), 2.53 and 2.54 mm (Tillema et al. 2016,
#:   Mult Scler, p. 901), 2.34 mm in young ones (PMC4098706, Table 2).
#: slope: 0.2 % less per year among 1022 people: van Velsen et al. 2013, Neurosci Lett 550:189,
#:   abstract.  Followed over years people lose more, 0.3 % (Shaw et al. 2016, Neurobiol Aging
#:   39:202) or 0.35 % (Storsve et al. 2014, J Neurosci 34:8488); a norm compares people.
#: men: no difference in the mean, Salat et al. 2004, doi 10.1093/cercor/bhh032, abstract; larger
#:   studies have women's slightly thicker (Ritchie et al. 2018, Cereb Cortex 28:2959).
#: deviation: 0.08 of 2.34 mm in 142 young and 0.12 of 2.20 mm in 87 older controls, pooled:
#:   PMC4098706, Table 2, "Mean: entire cortex".
THICKNESS_MM = Norm(
    level=2.5 * math.exp(-0.002 * (MIDDLE - 28.5)),
    men=1.0,
    slope=-0.002,
    curvature=0.0,
    deviation=0.043,
)

#: Intracranial volume, ml, in the person's own space: what the brain masks of our data hold.
#:
#: level: fitted to the brain masks of IXI train and validation, brought to native size, so that
#:   it goes with `TEMPLATE_ML`.  Yamada 2023, Table 1, has 1393 ml in women and 1538 in men.
#: men: 12 % more: Ruigrok et al. 2014, Neurosci Biobehav Rev 39:34, Table 3, 77 studies.
#: slope: none, Matsumae et al., J Neurosurg, June 1996, p. 982, abstract.
#: deviation: root mean square of 102 of 1469 and 111 of 1289 ml (Matsumae, men and women),
#:   137.3 of 1538.2 and 91.2 of 1393.2 ml (Yamada).
HEAD_ML = Norm(level=1474.0, men=1.12, slope=0.0, curvature=0.0, deviation=0.078)

#: Intracranial volume in MNI space: mean of the IXI train and validation people's brain masks
#: after their affine registration, ml; `check_norms` prints it.  They reach the dura: their
#: DLMUSE labels, fluid of the sulci left out, hold 1954 ml.
TEMPLATE_ML = 2124.0


def mni_ventricles(ml_native: float, head_ml: float) -> float:
    """Ventricles, ml, of a head after affine registration to MNI.

    Larger heads have larger ventricles (r = 0.4 in IXI); drawn apart from each other the two
    spread the logarithm of this volume by 0.37, where the IXI people have 0.34.

    Parameters
    ----------
    ml_native : ventricles in the person's own space, ml.
    head_ml : intracranial volume in the person's own space, ml, as of `HEAD_ML`; positive.
    """
    if head_ml <= 0:
        raise ValueError(f"a head's volume is positive, not {head_ml:g} ml")
    return ml_native * TEMPLATE_ML / head_ml
