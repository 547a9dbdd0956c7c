"""From what the user has set to a request, or the reason why there is none.

`resolve` is pure: it reads a snapshot and a card, touches no file and no array, and
gives the same answer for the same values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.exploration.blank import blank_scan
from napari_medsyn.exploration.controls import (
    COUNTERFACTUAL,
    GENERATE,
    INVERT,
    OWN,
    PRESENT,
    TARGETS,
    TASK,
    checked,
    default_values,
    warnings,
)
from napari_medsyn.exploration.covariates import (
    fact_warnings,
    known_values,
    makes_counterfactuals,
)
from napari_medsyn.exploration.requests import PreparationOptions, Request, Viewport
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.scans.study import Scan, Study

#: Kinds of output in the order they are given; an output is called `<kind>_<modality>`.
KINDS: Final = (
    "imputed", "uncertainty", "reconstruction", "residual",
    "counterfactual", "difference", "jacobian",
)  # fmt: skip

#: Kinds of the modalities that are imputed, of those that are read, and of the patient
#: under other covariates.
OF_TARGETS: Final = KINDS[:2]
OF_PRESENT: Final = KINDS[2:4]
OF_COUNTERFACTUAL: Final = KINDS[4:]

#: Kind of the outputs of a model that makes images of nobody.
GENERATED: Final = "generated"

#: Modality under which a study may hold a brain mask, which the preparation then takes.
MASK: Final = "label"


#: What undo brings back: control values, modalities switched off, targets.
Step = tuple[tuple[tuple[str, Any], ...], frozenset[str], tuple[str, ...] | None]


@dataclass(frozen=True, eq=False, slots=True)
class Snapshot:
    """All that a user has set, at one moment.

    Parameters
    ----------
    study : the scans, also those of no use to the model.
    package : folder of the chosen model; None where none is chosen.
    controls : values that differ from, or repeat, the card's defaults.
    switched_off : modalities that are played at missing.
    targets : modalities to impute; None stands for all that the model does not read.
    kinds : which of `KINDS` to compute.
    viewport, options, device : as in `Request`.
    known : what the user states of the patient: covariate to value, None for not known.
    own : every covariate's value of the patient, once an inversion has found them.
    """

    study: Study = field(default_factory=Study)
    package: Path | None = None
    controls: Mapping[str, Any] = field(default_factory=dict)
    switched_off: frozenset[str] = frozenset()
    targets: tuple[str, ...] | None = None
    kinds: tuple[str, ...] = KINDS
    viewport: Viewport | None = None
    options: PreparationOptions = field(default_factory=PreparationOptions)
    device: str = "auto"
    known: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] | None = None

    @property
    def step(self) -> Step:
        """The part that undo brings back."""
        return tuple(sorted(self.controls.items())), self.switched_off, self.targets


@dataclass(frozen=True, slots=True)
class NotReady:
    """Why there is nothing to compute: a sentence for the user with the remedy."""

    reason: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether Impute can be pressed, the reason why not, and what to be warned of."""

    ok: bool
    reason: str = ""
    warnings: tuple[str, ...] = ()


def usable_scans(study: Study, card: ModelCard | None) -> Study:
    """The scans whose modality the model knows, then a brain mask if there is one.

    The first one's grid is that of results.  Without a model every image counts.
    """
    images = [
        scan
        for scan in study
        if scan.modality != MASK and (card is None or scan.modality in card.modalities)
    ]
    mask = study.get(MASK)
    return Study((*images, mask) if images and mask is not None else tuple(images), study.facts)


def needs_no_scan(card: ModelCard) -> bool:
    """Whether the model makes images out of its controls alone."""
    return card.min_inputs == 0


def reference_of(
    study: Study, card: ModelCard | None, switched_off: frozenset[str] = frozenset()
) -> Scan | None:
    """The scan on whose grid results are: the first one that the model can use.

    Where the model reads none and needs none, an empty scan on the model's own grid, also
    with a patient loaded whose modality it gives; None where there is no scan to use.
    """
    if (
        card is not None
        and needs_no_scan(card)
        and not present_modalities(study, card, switched_off)
    ):
        return blank_scan(card.grid.grid())
    usable = usable_scans(study, card)
    return usable.scans[0] if len(usable) else None


def present_modalities(
    study: Study, card: ModelCard, switched_off: frozenset[str]
) -> tuple[str, ...]:
    """Modalities the model reads: its inputs that are loaded and not switched off."""
    return tuple(
        name for name in card.inputs if study.get(name) is not None and name not in switched_off
    )


def switched_off_but(card: ModelCard, present: Collection[str]) -> frozenset[str]:
    """The model's inputs that are to be played at missing if it may read `present` only.

    Raises
    ------
    UnusableModel : the model has no such input.
    """
    strange = [name for name in present if name not in card.inputs]
    if strange:
        reads = ", ".join(card.inputs) or "nothing"
        raise UnusableModel(f"{card.name} does not read {strange[0]!r}; it reads {reads}")
    return frozenset(name for name in card.inputs if name not in present)


def targets_of(
    card: ModelCard, present: tuple[str, ...], wished: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Modalities to impute: those `wished`, or all, that the model does not read."""
    return tuple(
        name for name in card.outputs if name not in present and (wished is None or name in wished)
    )


def resolve(snapshot: Snapshot, card: ModelCard | None, generation: int = 0) -> Request | NotReady:
    """The request that `snapshot` amounts to under `card`, or why there is none."""
    is_free = card is not None and needs_no_scan(card)
    if not len(snapshot.study) and not is_free:
        return NotReady("Open a scan, or try the sample.")
    if card is None or snapshot.package is None:
        return NotReady("Choose a model.")
    try:
        values = {
            **default_values(card),
            **{name: checked(card, name, value) for name, value in snapshot.controls.items()},
        }
    except UnusableModel as error:
        return NotReady(f"{error}.")
    present = present_modalities(snapshot.study, card, snapshot.switched_off)
    if is_free and not present:
        return _request_of_nobody(snapshot, card, values, generation)
    if len(present) < card.min_inputs:
        return NotReady(_too_few(snapshot, card, present))
    if makes_counterfactuals(card):
        return _request_of_patient(snapshot, card, values, present, generation)
    strange = [name for name in snapshot.targets or () if name not in card.outputs]
    if strange:
        return NotReady(
            f"{card.name} cannot impute {', '.join(strange)}; it gives {', '.join(card.outputs)}."
        )
    targets = targets_of(card, present, snapshot.targets)
    outputs = output_names(card, present, targets, snapshot.kinds)
    if not outputs:
        return NotReady("Nothing is missing: switch a modality off to impute it.")
    needed = {name.partition("_")[2] for name in outputs}
    values[PRESENT] = present
    values[TARGETS] = tuple(name for name in card.outputs if name in needed)
    return Request(
        generation=generation,
        study=usable_scans(snapshot.study, card),
        package=snapshot.package,
        controls=values,
        outputs=outputs,
        viewport=snapshot.viewport,
        options=snapshot.options,
        device=snapshot.device,
    )


def _request_of_nobody(
    snapshot: Snapshot, card: ModelCard, values: dict[str, Any], generation: int
) -> Request:
    """The request for images on the model's own grid, out of the controls alone."""
    targets = targets_of(card, (), snapshot.targets) or card.outputs
    task = {TASK: GENERATE} if makes_counterfactuals(card) else {}
    return Request(
        generation=generation,
        study=Study(),
        package=cast("Path", snapshot.package),
        controls={**values, PRESENT: (), TARGETS: targets, **task},
        outputs=tuple(f"{GENERATED}_{name}" for name in targets),
        viewport=snapshot.viewport,
        options=snapshot.options,
        device=snapshot.device,
        canvas=card.grid.grid(),
    )


def _request_of_patient(
    snapshot: Snapshot,
    card: ModelCard,
    values: dict[str, Any],
    present: tuple[str, ...],
    generation: int,
) -> Request | NotReady:
    """The request for an inversion or, with the patient's own values, for a counterfactual."""
    seen = tuple(name for name in card.outputs if name in present)
    if not seen:
        return NotReady(f"{card.name} makes counterfactuals of {', '.join(card.outputs)} only.")
    try:
        known = known_values(card, snapshot.study, snapshot.known)
    except UnusableModel as error:
        return NotReady(f"{error}.")
    if snapshot.own is None:
        task, own = INVERT, known
        kinds: tuple[str, ...] = OF_PRESENT
    else:
        task, own = COUNTERFACTUAL, dict(snapshot.own)
        # Who has chosen among other kinds only has not thought of these.
        wished = tuple(kind for kind in OF_COUNTERFACTUAL if kind in snapshot.kinds)
        kinds = wished or OF_COUNTERFACTUAL
    return Request(
        generation=generation,
        study=usable_scans(snapshot.study, card),
        package=cast("Path", snapshot.package),
        controls={**values, PRESENT: present, TARGETS: seen, TASK: task, OWN: own},
        outputs=tuple(f"{kind}_{name}" for name in seen for kind in kinds),
        viewport=snapshot.viewport,
        options=snapshot.options,
        device=snapshot.device,
    )


def readiness(snapshot: Snapshot, card: ModelCard | None) -> Readiness:
    """Whether `resolve` gives a request, and what the user should be warned of."""
    resolved = resolve(snapshot, card)
    if isinstance(resolved, NotReady):
        return Readiness(False, resolved.reason)
    unused = [
        f"{scan.name or scan.modality or 'A scan'} is not read: {_why_unused(scan, card)}"
        for scan in snapshot.study
        if card is not None and card.inputs and scan.modality not in (*card.modalities, MASK)
    ]
    said = warnings(card, resolved.controls) if card is not None else ()
    given = [
        f"{name} is loaded and switched on, so it is not imputed."
        for name in snapshot.targets or ()
        if name in resolved.controls[PRESENT] and TASK not in resolved.controls
    ]
    return Readiness(True, "", (*said, *_of_person(snapshot, card, resolved), *unused, *given))


def _of_person(snapshot: Snapshot, card: ModelCard | None, request: Request) -> tuple[str, ...]:
    """What is to be said of the covariates: facts that the model cannot take, strange people."""
    if card is None:
        return ()
    facts: tuple[str, ...] = ()
    if OWN in request.controls:
        facts = fact_warnings(card, snapshot.study, snapshot.known)
    if request.controls.get(TASK) == INVERT or card.label_model is None:
        return facts
    # Late: it loads scipy.
    from napari_medsyn.exploration.plausible import unsupported

    try:
        return (*facts, *unsupported(card, request.controls))
    except UnusableModel as error:
        # Without a label model the model itself can still be run.
        return (*facts, f"{error}.")


def output_names(
    card: ModelCard, present: tuple[str, ...], targets: tuple[str, ...], kinds: tuple[str, ...]
) -> tuple[str, ...]:
    """Names of the outputs: two for each target, two for each present modality."""
    of_targets = [kind for kind in OF_TARGETS if kind in kinds]
    of_present = [kind for kind in OF_PRESENT if kind in kinds]
    seen = [name for name in card.outputs if name in present]
    return (
        *(f"{kind}_{name}" for name in targets for kind in of_targets),
        *(f"{kind}_{name}" for name in seen for kind in of_present),
    )


def _too_few(snapshot: Snapshot, card: ModelCard, present: tuple[str, ...]) -> str:
    """Which remedy applies: switch one on, name a modality, load another scan."""
    off = [name for name in card.inputs if snapshot.study.get(name) and name not in present]
    expects = f"{card.name} expects {_at_least(card.min_inputs)} of {', '.join(card.inputs)}"
    if off:
        return f"{expects}. Switch {' or '.join(off)} on."
    nameless = [scan for scan in snapshot.study if not scan.modality]
    if nameless:
        return f"{expects}. Set the modality of {nameless[0].name or 'the scan'}."
    have = ", ".join(scan.modality for scan in snapshot.study if scan.modality)
    return (
        f"{expects}. The study has {have}. Choose another model, load another scan or set the "
        "modality by hand."
    )


def _at_least(count: int) -> str:
    return "one" if count == 1 else f"at least {count}"


def _why_unused(scan: Scan, card: ModelCard | None) -> str:
    if not scan.modality:
        return "its modality is not set."
    name = card.name if card is not None else "the model"
    return f"{name} does not know {scan.modality}."


def request_or_refuse(resolved: Request | NotReady) -> Request:
    """The request; raises `UnusableStudy` with the reason if there is none."""
    if isinstance(resolved, NotReady):
        raise UnusableStudy(resolved.reason)
    return resolved
