"""What goes together: hints for the covariates that stand beside a control that was moved.

The card's label model (`models.mssg.labels`) says how the covariates of the training people go
together.  Two questions are asked of it at each move of a slider.  What else would be expected
to move along?  That is the conditional mean, and its change is added to the person's own
value: who has larger ventricles than others of that age keeps them.  And has the model learnt
from people like this at all?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Literal

from napari_medsyn.exploration.controls import OWN
from napari_medsyn.exploration.covariates import covariate_controls, fitted
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.controls import Categorical, Continuous, Control, Integer

if TYPE_CHECKING:
    from napari_medsyn.models.mssg.labels import LabelModel

#: What a person is: nothing else in the brain moves these, but they move the rest.
CAUSES: Final = ("age", "sex", "cohort")

#: A difference to what is expected of less than this share of the value is not worth a hint.
SMALL: Final = 0.05

Values = tuple[tuple[str, Any], ...]

#: Label models that were read, by their card, which is kept so that no other takes its id.
_READ: dict[int, tuple[ModelCard, LabelModel]] = {}
_READING = Lock()
_MOST_READ: Final = 8


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing that the user may want to do about one control.

    Parameters
    ----------
    control : its name.
    kind : "depends": it would be expected to move along; "unsupported": the combination is
        outside of what the model was trained on.
    sentence : for the user.
    value : what is offered, a value that the control takes.
    """

    control: str
    kind: Literal["depends", "unsupported"]
    sentence: str
    value: Any


def hints(card: ModelCard, controls: Mapping[str, Any]) -> tuple[Hint, ...]:
    """What goes with the covariates as they stand; cheap to ask again, from any thread.

    Parameters
    ----------
    card : has a label model, or there are no hints.
    controls : control values; `controls.OWN` among them are the patient's, from which a
        change is measured; without them it is measured from the card's defaults.

    Raises
    ------
    UnusableModel : the card's label model is damaged.
    """
    if card.label_model is None or not card.covariates:
        return ()
    asked = _asked(card, controls)
    return (*_dependent(*asked), *_beyond(*asked))


def unsupported(card: ModelCard, controls: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences of the hints of that kind, but for controls that warn by themselves.

    Raises
    ------
    UnusableModel : the card's label model is damaged.
    """
    if card.label_model is None or not card.covariates:
        return ()
    warned = {c.name for c in covariate_controls(card) if c.warning(controls.get(c.name))}
    found = _beyond(*_asked(card, controls))
    return tuple(hint.sentence for hint in found if hint.control not in warned)


def _asked(
    card: ModelCard, controls: Mapping[str, Any]
) -> tuple[LabelModel, tuple[Control, ...], Values, Values]:
    """The label model, the covariates that it knows, whose change it is, and how they stand."""
    model = _label_model(card)
    known = tuple(control for control in covariate_controls(card) if control.name in model.names)
    person = {control.name: _default(control) for control in known}
    own = controls.get(OWN)
    if own is not None:
        person = {name: own.get(name) for name in person}
    now = {name: controls.get(name, value) for name, value in person.items()}
    return model, known, tuple(person.items()), tuple(now.items())


@lru_cache(maxsize=1024)
def _dependent(
    model: LabelModel, controls: tuple[Control, ...], person: Values, now: Values
) -> tuple[Hint, ...]:
    before, after = dict(person), dict(now)
    try:
        found = [_depends(model, control, controls, before, after) for control in controls]
    except ValueError:
        # The card offers a value that its label model does not know: nothing can be said.
        return ()
    return tuple(hint for hint in found if hint is not None)


@lru_cache(maxsize=1024)
def _beyond(
    model: LabelModel, controls: tuple[Control, ...], person: Values, now: Values
) -> tuple[Hint, ...]:
    # Who has no lesions has none recorded: a volume of nothing is none that can be unusual.
    after = {name: None if value == 0 else value for name, value in now}
    try:
        return tuple(_unsupported(model, controls, dict(person), after))
    except ValueError:
        # As above.
        return ()


def _depends(
    model: LabelModel,
    control: Control,
    controls: Sequence[Control],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> Hint | None:
    """The hint that `control` would be expected to move along with what the person is."""
    name = control.name
    if name in CAUSES or not isinstance(control, Continuous | Integer):
        return None
    was, stands = before.get(name), after.get(name)
    # What is not known before and after says nothing of a change.
    causes = [
        cause
        for cause in controls
        if cause.name in CAUSES and None not in (before.get(cause.name), after.get(cause.name))
    ]
    moved = [cause for cause in causes if after[cause.name] != before[cause.name]]
    if was is None or stands is None or not moved:
        return None
    there, here = (
        model.expected({cause.name: values[cause.name] for cause in causes}, name)
        for values in (after, before)
    )
    value = fitted(control, was + there - here)
    if value is None or abs(value - stands) < max(control.step, SMALL * abs(stands)):
        return None
    because = " and ".join(_said(cause, after[cause.name]) for cause in moved)
    sentence = (
        f"With {because}, {control.label.lower()} of about {_amount(control, value)} would be "
        "expected."
    )
    return Hint(name, "depends", sentence, value)


def _unsupported(
    model: LabelModel,
    controls: Sequence[Control],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> list[Hint]:
    """A hint for each covariate by which the user can come back to what the model has seen."""
    if model.support(after).is_inside:
        return []
    known = [control for control in controls if after.get(control.name) is not None]
    moved = [c for c in known if after[c.name] != before.get(c.name)]
    found = []
    for control in moved or known:
        value = _nearest(model, control, after)
        if value is not None:
            found.append(
                Hint(
                    control.name,
                    "unsupported",
                    f"{_capital(_said(control, after[control.name]))} was not seen together with "
                    f"the other values in training; the nearest supported value is "
                    f"{_amount(control, value)}.",
                    value,
                )
            )
    if found or not known:
        return found
    first = (moved or known)[0]
    sentence = (
        f"{_capital(_said(first, after[first.name]))} was not seen together with the other values "
        "in training, and no single value mends that."
    )
    return [Hint(first.name, "unsupported", sentence, None)]


def _nearest(model: LabelModel, control: Control, values: Mapping[str, Any]) -> Any:
    """The nearest supported value that the control can stand at; None where there is none."""
    name = control.name
    nearest = model.nearest(values, name)
    if nearest is None:
        return None
    # A slider stands on its steps, and the nearest of them may be just outside again.
    step = control.step if isinstance(control, Continuous | Integer) else 0
    tries = [nearest, nearest + step, nearest - step] if step else [nearest]
    for candidate in (fitted(control, one) for one in tries):
        if candidate is not None and model.support({**values, name: candidate}).is_inside:
            return candidate
    return None


def _label_model(card: ModelCard) -> LabelModel:
    from napari_medsyn.models.mssg.labels import LabelModel

    with _READING:
        kept = _READ.get(id(card))
        if kept is None:
            while len(_READ) >= _MOST_READ:
                _READ.pop(next(iter(_READ)))
            kept = _READ[id(card)] = card, LabelModel.from_json(card.label_model or {})
        return kept[1]


def _default(control: Control) -> Any:
    return control.check(getattr(control, "default", None))


def _said(control: Control, value: Any) -> str:
    """Such as "age 70 years", "sex female"."""
    return f"{control.label.lower()} {_amount(control, value)}"


def _amount(control: Control, value: Any) -> str:
    """Such as "70 years", "female"."""
    if isinstance(control, Categorical):
        labels = {category.value: category.label for category in control.categories}
        return labels.get(value, str(value))
    if isinstance(control, Continuous | Integer):
        return f"{value:g} {control.unit}".strip()
    return str(value)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
