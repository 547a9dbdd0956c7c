"""Whether a judge keeps its contract, tried out on the judge itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from napari_medsyn.evaluation.checks import Check, failed, passed
from napari_medsyn.evaluation.contract import guarded
from napari_medsyn.models.judges.judge import Judge, Verdict

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy


def check_judge(card: ModelCard, judge: Judge, study: PreparedStudy) -> Iterator[Check]:
    """All checks of a judge: what it reads, its maps, and whether it says the same again.

    Parameters
    ----------
    card : of the judge.
    judge : loaded.
    study : on the judge's grid.
    """
    verdicts: list[Verdict] = []

    def read() -> Check:
        verdict = judge.read(study)
        wrong = _wrong(card, verdict)
        if wrong:
            return failed("readings", wrong)
        verdicts.append(verdict)
        told = [
            f"{reading.label} {verdict.readings[reading.name]:.4g} {reading.unit}".rstrip()
            for reading in card.readings
        ]
        return passed("readings", "; ".join(told) or f"maps of {', '.join(card.outputs)}")

    def again() -> Check:
        if not _is_same(judge.read(study), verdicts[0]):
            return failed("same study", "the same study gave two different verdicts")
        return passed("same study", "the same study gives the same verdict, bit for bit")

    yield guarded("readings", read)
    if verdicts:
        yield guarded("same study", again)


def _wrong(card: ModelCard, verdict: Verdict) -> str:
    """What is wrong with a verdict; empty if nothing is."""
    promised = {reading.name for reading in card.readings}
    if set(verdict.readings) != promised:
        differing = ", ".join(sorted(promised ^ set(verdict.readings)))
        return f"the card and the judge do not name the same readings: {differing}"
    numbers = {**verdict.readings, **{f"spread of {n}": s for n, s in verdict.spread.items()}}
    for name, value in numbers.items():
        if not np.isfinite(value):
            return f"{name} is infinite or no number"
    if set(verdict.maps) != set(card.outputs):
        differing = ", ".join(sorted(set(card.outputs) ^ set(verdict.maps)))
        return f"the card and the judge do not name the same maps: {differing}"
    for name, values in verdict.maps.items():
        if values.shape != card.grid.shape:
            return f"the map {name} has the shape {values.shape}, not {card.grid.shape}"
        if not np.isfinite(values).all():
            return f"the map {name} has numbers that are infinite or none"
        if name in card.legends:
            known = {0, *(entry.code for entry in card.legends[name])}
            strange = sorted({int(code) for code in np.unique(values)} - known)
            if strange:
                return f"the map {name} has the code {strange[0]}, which its legend does not know"
    return ""


def _is_same(one: Verdict, other: Verdict) -> bool:
    return (
        one.readings == other.readings
        and one.spread == other.spread
        and all(np.array_equal(values, other.maps[name]) for name, values in one.maps.items())
    )
