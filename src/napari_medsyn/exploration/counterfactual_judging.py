"""What a judge measures on a scan and on its counterfactuals: what was asked, what came.

The judge had no part in the training of the model.  It sees a counterfactual as it would see
a scan that came in from outside: what it says is what `medsyn judge` says of the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from napari_medsyn.scans.study import Study

if TYPE_CHECKING:
    from napari_medsyn.evaluation.judging import Judgement
    from napari_medsyn.exploration.counterfactual_results import Counterfactual
    from napari_medsyn.exploration.generating_samples import Tell
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.registry.catalogue import Catalogue
    from napari_medsyn.scans.preparation import PreparationOptions
    from napari_medsyn.scans.study import Scan

#: The judge of age, sex and ventricles.
JUDGE: Final = "judge-covariates-t1"

#: Readings that measure a covariate of another name: the probability of being male, the sex.
COVARIATE_OF: Final = {"male": "sex"}


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """What a judge reads off the patient's scan and off what was made of it.

    Parameters
    ----------
    card : the judge's, with label and unit of each reading.
    scan : reading to value, of the patient's scan.
    made : the same of the counterfactual; of a sweep, of each step.
    spread : reading to the standard deviation of its error, where that is known.
    """

    card: ModelCard
    scan: Mapping[str, float]
    made: tuple[Mapping[str, float], ...]
    spread: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "judge": self.card.id,
            "version": self.card.version,
            "scan": dict(self.scan),
            "counterfactual": [dict(readings) for readings in self.made],
            "spread": dict(self.spread),
        }


def measure(
    made: Counterfactual,
    judge: str = JUDGE,
    *,
    catalogue: Catalogue | None = None,
    tell: Tell | None = None,
) -> Measured:
    """Let `judge` read the patient's scan and every counterfactual of it.

    Raises
    ------
    UnusableModel : there is no such judge.
    UnusableStudy : the judge cannot read the scan.
    """
    tell = tell or (lambda _done, _total, _phase: None)
    steps = range(len(made.steps)) if made.steps else (None,)
    results = [_counterfactual(made, step) for step in steps]
    judgements = []
    for number, scan in enumerate((made.reference, *results)):
        tell(number, len(results) + 1, "Measuring")
        judgements.append(_judgement(made, scan, judge, catalogue))
    before, *after = judgements
    return Measured(
        card=before.card,
        scan=dict(before.readings),
        made=tuple(dict(judgement.readings) for judgement in after),
        spread=dict(before.spread),
    )


def _counterfactual(made: Counterfactual, step: int | None) -> Scan:
    output = f"counterfactual_{made.reference.modality}"
    return made.scan(output if output in made.arrays else "", step)


def _judgement(
    made: Counterfactual, scan: Scan, judge: str, catalogue: Catalogue | None
) -> Judgement:
    from napari_medsyn.evaluation import judging
    from napari_medsyn.exploration.resolving import MASK

    mask = made.study.get(MASK)
    study = Study((scan, mask) if mask is not None else (scan,), made.study.facts)
    (judgement,) = judging.judge(
        study, [judge], catalogue=catalogue, device=made.device, options=_options(made)
    )
    return judgement


def _options(made: Counterfactual) -> PreparationOptions:
    """How all of them are prepared: what shows no skull in the scan shows none afterwards.

    An older brain has more fluid below its surface, which may look like bone from outside.
    """
    from napari_medsyn.scans.preparation.brain_mask import has_skull
    from napari_medsyn.scans.preparation.intensity import finite

    scan, options = made.reference, made.options
    if options.brain_mask == "auto" and not has_skull(finite(scan.voxels), scan.grid):
        return replace(options, brain_mask="never")
    return options
