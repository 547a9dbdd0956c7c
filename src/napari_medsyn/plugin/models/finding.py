"""Stand-ins for `registry.searching` and `registry.ranking` until they are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from napari_medsyn.registry.catalogue import Entry

Operator = Literal["and", "or", "xor"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """An entry and its value of a metric."""

    entry: Entry
    value: float | None
    direction: Literal["higher", "lower"] | None


def search(entries: Sequence[Entry], words: Sequence[str], operator: str = "and") -> list[Entry]:
    """Entries whose text holds all, any or exactly one of `words`."""
    test = {"and": lambda n: n == len(words), "or": lambda n: n > 0, "xor": lambda n: n == 1}
    found = []
    for entry in entries:
        text = (entry.card.model_dump_json() if entry.card else entry.id + entry.reason).lower()
        if not words or test[operator](sum(word.lower() in text for word in words)):
            found.append(entry)
    return found


def metric_names(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Names of all metrics."""
    return tuple(sorted({m.name for e in entries if e.card is not None for m in e.card.metrics}))


def rank(entries: Sequence[Entry], metric: str) -> list[Ranked]:
    """Best first, those without the metric last."""
    ranked = []
    for entry in entries:
        metrics = [m for m in entry.card.metrics if m.name == metric] if entry.card else []
        ranked.append(
            Ranked(entry, metrics[0].value, metrics[0].direction)
            if metrics
            else Ranked(entry, None, None)
        )
    return sorted(
        ranked,
        key=lambda r: (
            r.value is None,
            (r.value or 0) * (-1 if r.direction == "higher" else 1),
        ),
    )
