"""Values of a card's controls: defaults, checks, warnings.

`PRESENT` and `TARGETS`, the two modality sets, follow from the study and the switches
beside its scans; `TASK` and `OWN` from what is known of the patient.  `resolving` fills
all four in: a request with the same controls, also these, gives the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.card import ModelCard

#: Control that holds the modalities which the model may read.
PRESENT: Final = "present"
#: Control that holds the modalities which the model is to give.
TARGETS: Final = "targets"
#: What a model that makes counterfactuals is to do: one of the three below.
TASK: Final = "task"
#: Covariate to the patient's own value, None where it is not known.
OWN: Final = "own"

#: Images of nobody, out of the controls alone; also where no task is named.
GENERATE: Final = "generate"
#: Find the latent, and the covariates that are not known, of the patient's scan.
INVERT: Final = "invert"
#: The patient's scan as it would be if the covariates were those of the controls.
COUNTERFACTUAL: Final = "counterfactual"


def default_values(card: ModelCard) -> dict[str, Any]:
    """Value of every control of `card` but the two modality sets, as the card gives it."""
    return {
        control.name: control.check(control.default)
        for control in card.controls
        if control.name not in (PRESENT, TARGETS)
        and (control.kind != "modality_set" or control.default is not None)
    }


def carried_over(card: ModelCard, values: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults of `card`, with those of `values` (set under another model) that it accepts."""
    kept = default_values(card)
    for name in kept:
        if name in values:
            try:
                kept[name] = checked(card, name, values[name])
            except UnusableModel:
                # The same name with another range: the new card's default holds.
                continue
    return kept


def checked(card: ModelCard, name: str, value: Any) -> Any:
    """`value` of the control `name` in the control's own type.

    Raises
    ------
    UnusableModel : the card has no such control, or it does not take the value.
    """
    control = next((control for control in card.controls if control.name == name), None)
    if control is None:
        known = ", ".join(control.name for control in card.controls) or "none"
        raise UnusableModel(f"{card.name} has no control {name!r}; it has {known}")
    try:
        return control.check(value)
    except ValueError as error:
        raise UnusableModel(f"{card.name}: {error}") from error


def warnings(card: ModelCard, values: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence for each value beyond what the model was trained on; unknown is none."""
    said = (
        control.warning(values[control.name]) for control in card.controls if control.name in values
    )
    return tuple(sentence for sentence in said if sentence)
