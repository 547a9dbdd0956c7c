"""Values of controls as a person reads them: "44 years", "31.2 ml", "female", "not known"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.controls import Categorical, Continuous, Control, Integer

#: What stands for None: a value that the model is to fill in by itself.
NOT_KNOWN: Final = "not known"


def control_of(card: ModelCard | None, name: str) -> Control | None:
    """The control of `card` that is called `name`, None without one."""
    controls = card.controls if card is not None else ()
    return next((control for control in controls if control.name == name), None)


def covariates_of(card: ModelCard | None) -> Sequence[Control]:
    """The controls that describe a person, in the card's order."""
    if card is None:
        return ()
    return [control for control in card.controls if control.name in card.covariates]


def value_text(control: Control, value: Any) -> str:
    """`value` with its unit, rounded to the control's step; a category by its label."""
    if value is None:
        return NOT_KNOWN
    if isinstance(control, Categorical):
        return next((c.label for c in control.categories if c.value == value), str(value))
    if isinstance(control, Continuous | Integer):
        unit = f" {control.unit}" if control.unit else ""
        return f"{number_text(value, control.step)}{unit}"
    return str(value)


def number_text(value: float, step: float) -> str:
    """`value` to the digits of a `step`, three behind the point at most; "44", not "44.0"."""
    digits = 0
    while digits < 3 and abs(round(step, digits) - step) > 1e-9 * step:
        digits += 1
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def quantity(control: Control) -> str:
    """What the control turns and in which unit: "Age (years)"."""
    unit = getattr(control, "unit", "")
    return f"{control.label} ({unit})" if unit else control.label
