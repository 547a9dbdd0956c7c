"""A model's card for people who read a terminal: what decides comes first, lists are short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, assert_never, cast

from napari_medsyn.cli.control_values import seed_name

if TYPE_CHECKING:
    from napari_medsyn.registry.card import Metric, ModelCard
    from napari_medsyn.registry.controls import Categorical, Continuous, Control, Integer, Latent
    from napari_medsyn.registry.entries import Entry, Facts

#: Figures that are shown; some cards have a hundred.
MOST_METRICS: Final = 12

#: Directions of a latent that are named.
_MOST_DIRECTIONS: Final = 4


def card_lines(entry: Entry, card: ModelCard) -> Iterator[str]:
    """The card of a usable entry, line by line."""
    yield f"{card.name} ({card.id} {card.version}), {card.licence}"
    if card.summary:
        yield card.summary
    yield f"{card.kind}, {card.purpose}: {what_it_does(cast('Facts', entry.facts))}"
    yield from _how_it_runs(entry, card)
    for name, values in (("anatomy", card.anatomy), ("tags", card.tags)):
        if values:
            yield f"{name}: {', '.join(values)}"
    yield f"intended use: {card.intended_use}"
    yield from (f"limitation: {limitation}" for limitation in card.limitations)
    yield from (control_line(c, is_seed=c.name == seed_name(card)) for c in card.controls)
    if card.covariates:
        yield f"covariates of a person: {', '.join(card.covariates)}"
    yield from metric_lines(card.metrics)
    for data in card.training_data:
        yield f"trained on {data.name}{_n(data.n)}, {data.licence}"
    for place in (*(f"https://doi.org/{doi}" for doi in card.doi), *card.links):
        yield f"see {place}"


def _how_it_runs(entry: Entry, card: ModelCard) -> Iterator[str]:
    if entry.why_not:
        yield f"not run: {entry.why_not}"
    if card.execution != "none":
        yield f"weights: {card.weights.bytes} bytes, SHA-256 {card.weights.sha256}"
    yield f"folder: {entry.package}"
    yield from (f"needs: {needs}" for needs in _needs(card))


def what_it_does(facts: Facts) -> str:
    """What a model reads, measures and gives."""
    parts = [f"reads {', '.join(facts.inputs) or 'no scan'}"]
    if facts.readings:
        parts.append(f"measures {', '.join(facts.readings)}")
    if facts.outputs:
        parts.append(f"gives {', '.join(facts.outputs)}")
    return "; ".join(parts)


def control_line(control: Control, *, is_seed: bool = False) -> str:
    """Name, label, kind, range and default: what `--set` has to be told.

    `is_seed`: whether it is the control that ``--seed`` sets.
    """
    instead = "; given as --seed" if is_seed else ""
    return f"control: {control.name} ({control.label}): {_values_of(control)}{instead}"


def metric_lines(metrics: Sequence[Metric]) -> Iterator[str]:
    """The first `MOST_METRICS` figures, below what they were measured on; how many more."""
    shown = metrics[:MOST_METRICS]
    width = max((len(metric.name) for metric in shown), default=0)
    last = ""
    for metric in shown:
        through = f" through {metric.extractor}" if metric.extractor else ""
        note = f" ({metric.note})" if metric.note else ""
        measured = f"measured on {metric.data_set}{through}{_n(metric.n)}{note}:"
        if measured != last:
            yield measured
        last = measured
        yield f"  {metric.name:<{width}}  {metric.value:>8.4g}"
    if len(metrics) > len(shown):
        yield f"  … and {len(metrics) - len(shown)} more (--json has all)"


def shortened(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters, the last a "…" if some were left out."""
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _values_of(control: Control) -> str:
    match control.kind:
        case "continuous" | "integer":
            return _number(control)
        case "boolean":
            return f"true or false, default {str(control.default).lower()}"
        case "categorical":
            return _choice(control)
        case "modality_set":
            default = (
                "as the study has it" if control.default is None else ",".join(control.default)
            )
            return f"any of {','.join(control.choices)}, default {default or 'none'}"
        case "seed":
            return f"whole number from 0, default {control.default}"
        case "latent":
            return _latent(control)
        case _:
            assert_never(control.kind)


def _number(control: Continuous | Integer) -> str:
    kind = "whole number" if control.kind == "integer" else "number"
    unit = f" {control.unit}" if control.unit else ""
    said = f"{kind}, {control.minimum:g} to {control.maximum:g}{unit}"
    said += f"{_or_unknown(control)}, default {control.default:g}"
    if control.support is None:
        return said
    return f"{said}, trained on {control.support[0]:g} to {control.support[1]:g}"


def _or_unknown(control: Continuous | Integer | Categorical) -> str:
    """What is to be added where the model does without a value."""
    return " or unknown" if control.unknown else ""


def _choice(control: Categorical) -> str:
    """The categories by the values that are typed, with labels that say something else."""
    named = [
        str(c.value) if str(c.value).lower() == c.label.lower() else f"{c.value} ({c.label})"
        for c in control.categories
    ]
    return f"one of {', '.join(named)}{_or_unknown(control)}, default {control.default}"


def _latent(control: Latent) -> str:
    names = list(control.directions)
    if len(names) > _MOST_DIRECTIONS:
        names = [*names[: _MOST_DIRECTIONS - 1], "…", names[-1]]
    plural = "s" if len(control.directions) > 1 else ""
    default = "as on the card" if any(control.default) else "0"
    return (
        f"{len(control.directions)} direction{plural} ({', '.join(names)}), each "
        f"{control.minimum:g} to {control.maximum:g} standard deviations, default {default}"
    )


def _n(count: int | None) -> str:
    return "" if count is None else f", n = {count}"


def _needs(card: ModelCard) -> Iterator[str]:
    """What running it takes, in words."""
    needs = card.requires
    if needs.extra:
        yield f'pip install "napari-medsyn[{needs.extra}]"'
    if card.execution == "isolated":
        yield "your consent: it brings code of its own, see medsyn models trust"
    if needs.packages:
        yield f"an environment of its own with {', '.join(needs.packages)}"
    if needs.memory_gb is not None:
        yield f"{needs.memory_gb:g} GB of memory"
    if needs.gpu:
        yield "a GPU"
    if needs.note and card.execution != "none":
        yield needs.note
