"""Values of controls as the command line writes them: ``--set NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_medsyn.errors import UnusableModel

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.registry.controls import Control, Latent

#: Words for the two values of a tick box.
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def parse_settings(card: ModelCard, settings: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` arguments as control name to value, checked by the card.

    A number, a word, true or false, and a list ``a,b,c`` for latents and modality sets.
    ``latent.7=1.5`` sets one number of a latent, by the label of its direction or else its
    place, 1 for the first; the others keep what earlier arguments or the card gave them.

    Raises
    ------
    UnusableModel : an argument has another form, or the card does not take it.
    """
    from napari_medsyn.exploration.controls import checked

    values: dict[str, Any] = {}
    for setting in settings:
        name, separator, text = setting.partition("=")
        if not separator or not name:
            raise UnusableModel(f"--set {setting}: write NAME=VALUE, such as temperature=0.5")
        name, dot, entry = name.partition(".")
        control = _control(card, name)
        if control.kind == "seed":
            raise UnusableModel(f"--set {setting}: give the seed by --seed")
        if dot:
            value = _with_entry(control, entry, text, values.get(name), setting)
        else:
            value = _value(control, text, setting)
        values[name] = checked(card, name, value)
    return values


def _control(card: ModelCard, name: str) -> Control:
    for control in card.controls:
        if control.name == name:
            return control
    known = ", ".join(control.name for control in card.controls if control.kind != "seed")
    raise UnusableModel(f"{card.name} has no control {name!r}; it has {known or 'none'}")


def _value(control: Control, text: str, setting: str) -> Any:
    """`text` in the type that the control takes; whether it is in range is checked later."""
    match control.kind:
        case "boolean":
            if text.lower() not in _TRUTH:
                raise UnusableModel(f"--set {setting}: write true or false")
            return _TRUTH[text.lower()]
        case "categorical":
            # 1 the number and "1" the word look alike here; the card says which is meant.
            return next((c.value for c in control.categories if str(c.value) == text), text)
        case "modality_set":
            return tuple(part.strip() for part in text.split(",") if part.strip())
        case "latent":
            return tuple(_number(part, setting) for part in text.split(",") if part.strip())
        case _:
            return _number(text, setting)


def _with_entry(
    control: Control, entry: str, text: str, present: tuple[float, ...] | None, setting: str
) -> tuple[float, ...]:
    """The latent with one number changed."""
    if control.kind != "latent":
        raise UnusableModel(f"--set {setting}: {control.name} is one value, without parts")
    numbers = list(control.check(control.default) if present is None else present)
    numbers[_place(control, entry, setting)] = _number(text, setting)
    return tuple(numbers)


def _place(control: Latent, entry: str, setting: str) -> int:
    """Index of a direction, by its label or else by its place from 1."""
    labels = [label.lower() for label in control.directions]
    if entry.lower() in labels:
        return labels.index(entry.lower())
    if entry.isdecimal() and 1 <= int(entry) <= len(labels):
        return int(entry) - 1
    raise UnusableModel(
        f"--set {setting}: {control.name} has the directions {control.directions[0]} to "
        f"{control.directions[-1]}, by name or by place from 1 to {len(labels)}"
    )


def _number(text: str, setting: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UnusableModel(f"--set {setting}: {text.strip()!r} is not a number") from error
