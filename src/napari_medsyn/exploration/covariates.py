"""What is known of a patient, and what stands for the patient in a counterfactual.

A covariate (age, sex, …) of the patient is stated by the user, read from the scans'
headers, or estimated by the model's inversion, in this order; the patient's *own* values
are all of them together.  At these a counterfactual is the scan itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.controls import checked
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.controls import Continuous, Control, Integer
from napari_medsyn.scans.study import Study


def makes_counterfactuals(card: ModelCard) -> bool:
    """Whether the model can say what a patient would look like under other covariates."""
    return card.purpose == "counterfactual" and bool(card.inputs) and bool(card.covariates)


def covariate_controls(card: ModelCard) -> tuple[Control, ...]:
    """The controls that describe a person, in the card's order."""
    return tuple(control for control in card.controls if control.name in card.covariates)


def facts_of(study: Study) -> dict[str, Any]:
    """What the files say of the patient; the study's own facts before those of its scans."""
    facts: dict[str, Any] = {}
    for scan in reversed(study.scans):
        facts |= scan.facts
    return facts | dict(study.facts)


def checked_known(card: ModelCard, stated: Mapping[str, Any]) -> dict[str, Any]:
    """`stated` values of covariates in their controls' own types.

    Raises
    ------
    UnusableModel : the card has no such covariate, or it does not take the value.
    """
    strange = [name for name in stated if name not in card.covariates]
    if strange:
        known = ", ".join(card.covariates) or "none"
        raise UnusableModel(f"{card.name} has no covariate {strange[0]!r}; it has {known}")
    return {name: checked(card, name, value) for name, value in stated.items()}


def known_values(card: ModelCard, study: Study, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Covariate to the patient's value, as far as it is known without an inversion.

    What the user states holds before what the files say; a covariate stated as None is not
    known, whatever they say.

    Raises
    ------
    UnusableModel : the card does not take a value that is stated.
    """
    known = {name: value for name, value in _from_files(card, study).items() if value is not None}
    known |= checked_known(card, stated)
    return {name: known[name] for name in card.covariates if known.get(name) is not None}


def fact_warnings(card: ModelCard, study: Study, stated: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence for each value in the files that the model cannot take."""
    facts, taken = facts_of(study), _from_files(card, study)
    return tuple(
        f"The scan says {control.name} {facts[control.name]}, which {card.name} does not take; "
        "it is estimated instead."
        for control in covariate_controls(card)
        if control.name in facts and control.name not in taken and control.name not in stated
    )


def own_values(
    card: ModelCard, estimated: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    """Every covariate's value of the patient: `known`, else estimated, else None or the default.

    Estimates are brought to a value that the control can stand at, so that a slider put
    there makes a counterfactual that is the scan itself.
    """
    own: dict[str, Any] = {}
    for control in covariate_controls(card):
        name = control.name
        own[name] = known[name] if name in known else fitted(control, estimated.get(name))
    return own


def fitted(control: Control, value: Any) -> Any:
    """The value of `control` nearest to `value`: within its range, on its steps.

    None (or the default, where the control takes no None) for what is no value at all.
    """
    if isinstance(control, Continuous | Integer) and isinstance(value, int | float):
        value = _on_step(control, float(value))
    for candidate in (value, None):
        try:
            return control.check(candidate)
        except ValueError:
            continue
    return control.check(getattr(control, "default", None))


def _on_step(control: Continuous | Integer, value: float) -> float:
    """`value` on the nearest step of the control within its range."""
    low, high = control.minimum, control.maximum
    if value != value:
        return value
    inside = min(max(value, low), high)
    # The product of a step such as 0.1 is off in the last digits, which would be shown.
    return min(max(round(low + round((inside - low) / control.step) * control.step, 9), low), high)


def _from_files(card: ModelCard, study: Study) -> dict[str, Any]:
    """The covariates among the files' facts that the card takes."""
    facts, taken = facts_of(study), {}
    for name in card.covariates:
        try:
            if name in facts:
                taken[name] = checked(card, name, facts[name])
        except UnusableModel:
            # A header is not the user's word: the model goes on without it.
            continue
    return taken
