"""Values of controls as the command line writes them: ``--set age=70,sex=F``.

One language for every option that takes such values (``--set``, ``--from``, ``--sweep``):
``name=value``, several joined by commas or by saying the option again; the last one counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from napari_medsyn.errors import UnusableModel

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.registry.controls import Categorical, Control, Latent

#: Words for the two values of a tick box.
_TRUTH: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

#: A comma that ends one ``name=value``: another name follows, not the next number of a list.
_NEXT_NAME: Final = re.compile(r",(?=\s*[a-z][a-z0-9_]*(?:\.[^=,]+)?\s*=)")

#: The value of somebody of whom it is not known; the model fills it in.
UNKNOWN: Final = "unknown"
#: The value that the patient has; takes an earlier setting back.
OWN: Final = "own"

#: More steps than these are a slip of the keyboard, and a day of computing.
MOST_STEPS: Final = 200


def parse_settings(
    card: ModelCard,
    settings: Sequence[str],
    *,
    option: str = "--set",
    among: Collection[str] | None = None,
    own: Collection[str] = (),
    seed_option: str = "--seed",
) -> dict[str, Any]:
    """``NAME=VALUE[,NAME=VALUE …]`` arguments as control name to value, checked by the card.

    A number, a word, true or false, and a list ``a,b,c`` for latents and modality sets.
    ``latent.7=1.5`` sets one number of a latent, by the label of its direction or else its
    place, 1 for the first; the others keep what earlier arguments or the card gave them.
    ``unknown`` is a value where the card allows it, and stands for None.

    Parameters
    ----------
    card : the model's.
    settings : the arguments of the option, in their order.
    option : its name, for the sentences of errors.
    among : the only names it takes; every control's by default.
    own : names of which ``own`` is a value: it leaves the patient's own, so that the name is
        not in the answer.
    seed_option : the option that takes the (first) seed; "" where this one does.

    Raises
    ------
    UnusableModel : an argument has another form, or the card does not take it.
    """
    values: dict[str, Any] = {}
    for setting in split_settings(settings):
        said = f"{option} {setting}"
        name, text = _halves(setting, said)
        name, dot, entry = name.partition(".")
        control = _control(card, name, among, said)
        if seed_option and name == seed_name(card):
            raise UnusableModel(f"{said}: give the seed by {seed_option}")
        if text.lower() == OWN and not dot and not _is_category(control, text):
            _check_own(name, own, said)
            values.pop(name, None)
            continue
        if dot:
            value: Any = _with_entry(control, entry, text, values.get(name), said)
        else:
            value = _value(control, text, said)
        values[name] = _checked(card, name, value, said)
    return values


def seed_name(card: ModelCard) -> str:
    """Name of the control that ``--seed`` sets, the first seed of the card; "" for none.

    A second one, such as that of a person to mix with, is a control like any other.
    """
    return next((control.name for control in card.controls if control.kind == "seed"), "")


def split_settings(settings: Sequence[str]) -> Iterator[str]:
    """Every ``name=value`` of the arguments by itself: ``age=70,sex=F`` is two of them."""
    for argument in settings:
        yield from (part.strip() for part in _NEXT_NAME.split(argument))


def parse_sweep(
    card: ModelCard, sweep: str, among: Collection[str], option: str = "--sweep"
) -> tuple[str, tuple[Any, ...]]:
    """``age=30:80:11`` (from, to, how many) or ``sex=F,M`` as control name and its values.

    Both ends are among the values.  Those of a whole-numbered control are rounded.

    Raises
    ------
    UnusableModel : it has another form, fewer than two steps, more than `MOST_STEPS`, one
        value twice, or the card does not take a value.
    """
    said = f"{option} {sweep}"
    name, text = _halves(sweep, said, "NAME=FROM:TO:STEPS, such as age=30:80:11")
    control = _control(card, name, among, said)
    if ":" in text:
        values = _steps(control, text, said)
    else:
        values = [_value(control, part.strip(), said) for part in text.split(",")]
    values = [_checked(card, name, value, said) for value in values]
    if len(values) < 2 or len(values) > MOST_STEPS:
        raise UnusableModel(f"{said}: a sweep has 2 to {MOST_STEPS} steps, not {len(values)}")
    if len(set(values)) < len(values):
        raise UnusableModel(f"{said}: two steps have the same value; ask for fewer steps")
    return name, tuple(values)


def value_text(value: Any) -> str:
    """A value as these options take it: ``70``, ``F``, ``true``, ``unknown``, ``0.5,-1``."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(value_text(item) for item in value)
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)


def settings_text(values: Mapping[str, Any]) -> str:
    """Several values as one argument: ``age=70,sex=F``."""
    return ",".join(f"{name}={value_text(value)}" for name, value in values.items())


def _halves(setting: str, said: str, form: str = "NAME=VALUE, such as age=70") -> tuple[str, str]:
    name, separator, text = setting.partition("=")
    if not separator or not name.strip() or not text.strip():
        raise UnusableModel(f"{said}: write {form}")
    return name.strip(), text.strip()


def _control(card: ModelCard, name: str, among: Collection[str] | None, said: str) -> Control:
    taken = [c for c in card.controls if among is None or c.name in among]
    for control in taken:
        if control.name == name:
            return control
    known = ", ".join(c.name for c in taken if c.name != seed_name(card)) or "none"
    if any(control.name == name for control in card.controls):
        raise UnusableModel(f"{said}: {name} cannot be given here; {known} can")
    raise UnusableModel(f"{said}: {card.name} has no control {name!r}; it has {known}")


def _check_own(name: str, own: Collection[str], said: str) -> None:
    if name in own:
        return
    if own:
        raise UnusableModel(f"{said}: a patient has no {name}; {', '.join(own)} may be own")
    raise UnusableModel(f"{said}: there is no patient here whose own value it would be")


def _checked(card: ModelCard, name: str, value: Any, said: str) -> Any:
    from napari_medsyn.exploration.controls import checked

    try:
        return checked(card, name, value)
    except UnusableModel as error:
        raise UnusableModel(f"{said}: {error}") from error


def _value(control: Control, text: str, said: str) -> Any:
    """`text` in the type that the control takes; whether it is in range is checked later."""
    if text.lower() == UNKNOWN and not _is_category(control, text):
        if not getattr(control, "unknown", False):
            raise UnusableModel(f"{said}: the model has to know {control.name}; give a value")
        return None
    match control.kind:
        case "boolean":
            if text.lower() not in _TRUTH:
                raise UnusableModel(f"{said}: write true or false")
            return _TRUTH[text.lower()]
        case "categorical":
            return _category(control, text)
        case "modality_set":
            return tuple(part.strip() for part in text.split(",") if part.strip())
        case "latent":
            return tuple(_number(part, said) for part in text.split(",") if part.strip())
        case _:
            return _number(text, said)


def _category(control: Categorical, text: str) -> str | int:
    """The category whose value or label is `text`, in capitals or not; else `text`.

    1 the number and "1" the word look alike here; the card says which is meant.
    """
    exact = [c.value for c in control.categories if str(c.value) == text]
    alike = [
        c.value
        for c in control.categories
        if text.lower() in (str(c.value).lower(), c.label.lower())
    ]
    return (*exact, *alike, text)[0]


def _is_category(control: Control, text: str) -> bool:
    """Whether a category of the card has a word of ours for its value."""
    return control.kind == "categorical" and _category(control, text) in [
        category.value for category in control.categories
    ]


def _with_entry(
    control: Control, entry: str, text: str, present: tuple[float, ...] | None, said: str
) -> tuple[float, ...]:
    """The latent with one number changed."""
    if control.kind != "latent":
        raise UnusableModel(f"{said}: {control.name} is one value, without parts")
    numbers = list(control.check(control.default) if present is None else present)
    numbers[_place(control, entry, said)] = _number(text, said)
    return tuple(numbers)


def _place(control: Latent, entry: str, said: str) -> int:
    """Index of a direction, by its label or else by its place from 1."""
    labels = [label.lower() for label in control.directions]
    if entry.lower() in labels:
        return labels.index(entry.lower())
    if entry.isdecimal() and 1 <= int(entry) <= len(labels):
        return int(entry) - 1
    raise UnusableModel(
        f"{said}: {control.name} has the directions {control.directions[0]} to "
        f"{control.directions[-1]}, by name or by place from 1 to {len(labels)}"
    )


def _steps(control: Control, text: str, said: str) -> list[float]:
    """The values of ``FROM:TO:STEPS``."""
    if control.kind not in ("continuous", "integer"):
        raise UnusableModel(f"{said}: {control.name} is not a number; list its values, as in F,M")
    parts = text.split(":")
    if len(parts) != 3 or not parts[2].strip().isdecimal():
        raise UnusableModel(f"{said}: write FROM:TO:STEPS, such as {control.name}=30:80:11")
    first, last = _number(parts[0], said), _number(parts[1], said)
    count = int(parts[2])
    if not 2 <= count <= MOST_STEPS:
        raise UnusableModel(f"{said}: a sweep has 2 to {MOST_STEPS} steps, not {count}")
    width = (last - first) / (count - 1)
    # The last one as it was written, not as it comes out of a sum.
    values = [*(round(first + step * width, 9) for step in range(count - 1)), last]
    return [round(value) if control.kind == "integer" else value for value in values]


def _number(text: str, said: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UnusableModel(f"{said}: {text.strip()!r} is not a number") from error
