"""Whether model and study go together, and what can be made of them, in the dock's words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from napari_medsyn.errors import MedsynError
from napari_medsyn.exploration.controls import COUNTERFACTUAL, OWN, PRESENT, TARGETS, TASK
from napari_medsyn.exploration.resolving import needs_no_scan
from napari_medsyn.exploration.session import FAILED, IDLE, PREPARING, RUNNING, Session
from napari_medsyn.plugin.run_panel import Action
from napari_medsyn.plugin.wording import covariates_of, value_text
from napari_medsyn.registry.card import ModelCard

if TYPE_CHECKING:
    from napari_medsyn.exploration.plausible import Hint


_STATES: Final = {
    IDLE: "Ready",
    PREPARING: "Preparing…",
    RUNNING: "Computing…",
    FAILED: "Failed",
}


def state_text(session: Session) -> str:
    """What the session is doing, and where it has last computed."""
    text, results = _STATES[session.state], session.results
    if session.state == IDLE and results is not None and "device" in results.provenance:
        return f"{text} · ran on {str(results.provenance['device']).upper()}"
    return text


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be said before anything is computed.

    Parameters
    ----------
    text, degree : the line below the model; "good", "note" or "bad".
    hints : for the controls; what they say is not in the line.
    """

    text: str
    degree: str
    hints: tuple[Hint, ...] = ()


def outlook(session: Session) -> Outlook:
    """What is to be said of the session as it stands.

    Where the card has a label model its answer takes tens of milliseconds, the first one a
    second: such a session is asked on a worker thread, which only reads.

    Raises
    ------
    UnusableModel : the card's label model is damaged.
    """
    card = session.card
    if card is None or not has_hints(card):
        return Outlook(*fit_line(session))
    from napari_medsyn.exploration.plausible import hints

    controls = session.controls
    ranges = tuple(beyond_training(card, controls))
    beyond = {hint.control for hint in ranges}
    joint = tuple(hint for hint in hints(card, controls) if hint.control not in beyond)
    said = {hint.sentence for hint in joint}
    said |= {control.warning(controls.get(control.name)) for control in card.controls}
    return Outlook(*fit_line(session, said), (*ranges, *joint))


def has_hints(card: ModelCard | None) -> bool:
    """Whether the card knows how its covariates go together."""
    return card is not None and card.label_model is not None and bool(card.covariates)


def beyond_training(card: ModelCard, controls: Mapping[str, Any]) -> Iterator[Hint]:
    """A hint for each control that stands beyond the range seen in training."""
    from napari_medsyn.exploration.plausible import Hint

    for control in card.controls:
        value = controls.get(control.name)
        support = getattr(control, "support", None)
        if value is None or support is None or not control.warning(value):
            continue
        low, high = (value_text(control, end) for end in support)
        sentence = f"{control.label} is beyond the training range, {low} to {high}."
        nearest = control.check(min(max(value, support[0]), support[1]))
        yield Hint(control.name, "unsupported", sentence, nearest)


def whether_ready(session: Session) -> tuple[bool, str]:
    """Whether there is something to compute, and why not; asks no label model."""
    try:
        session.outputs()
    except MedsynError as error:
        return False, str(error)
    return True, ""


def fit_line(session: Session, said: Collection[str] = ()) -> tuple[str, str]:
    """A sentence and its degree: "good", "note" or "bad"; without what is `said` elsewhere."""
    readiness = session.readiness()
    if not readiness.ok:
        return readiness.reason, "note" if not len(session.study) else "bad"
    if warnings := [sentence for sentence in readiness.warnings if sentence not in said]:
        return " ".join(warnings), "note"
    controls, card = session.controls, session.card
    reads, gives = ", ".join(controls[PRESENT]), ", ".join(controls[TARGETS])
    if not reads and card is not None and needs_no_scan(card):
        shape = card.grid.shape[:2] if card.grid.dim == "2D" else card.grid.shape
        size = " × ".join(str(number) for number in shape)
        unread = "; the loaded scans are not read" if len(session.study) else ""
        return f"Needs no scan: generates {gives}, {size}{unread}", "good"
    if session.can_invert:
        remedy = "" if session.own is not None else "; press Invert first"
        return f"Fits: counterfactuals of {reads}{remedy}", "good"
    return f"Fits: reads {reads}" + (f"; imputes {gives}" if gives else ""), "good"


def makes_images_of_nobody(session: Session) -> bool:
    """Whether what would be computed now is on the model's own grid."""
    return session.card is not None and needs_no_scan(session.card) and not session.present


def action_of(session: Session) -> Action:
    """What the button that computes does now."""
    if makes_images_of_nobody(session):
        return "generate"
    if session.can_invert:
        return "invert" if session.own is None else "counterfactual"
    return "impute"


def what_differs(card: ModelCard | None, controls: Mapping[str, Any]) -> str:
    """In what a counterfactual differs from the patient: "age 70 years, sex male".

    Parameters
    ----------
    card : of the model that made it.
    controls : of the request that it answers, as they stand in its provenance.

    Returns
    -------
    "" for what is no counterfactual; "as scanned" where nothing differs.
    """
    if controls.get(TASK) != COUNTERFACTUAL:
        return ""
    own = controls.get(OWN) or {}
    changes = [
        f"{control.label.lower()} {value_text(control, controls[control.name])}"
        for control in covariates_of(card)
        if controls.get(control.name) not in (None, own.get(control.name))
    ]
    return ", ".join(changes) or "as scanned"
