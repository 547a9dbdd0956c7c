"""Covariates that follow others, and series in which they do, in a session of a notebook.

Whoever is older has larger ventricles.  If only the age is set, the patient's ventricles stay
as they are; if the others may follow, each moves by what the label model expects of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import EngineError, UnusableStudy
from napari_medsyn.exploration.plausible import Hint, hints
from napari_medsyn.exploration.requests import Finished
from napari_medsyn.exploration.sweeping import Sweep, Swept

if TYPE_CHECKING:
    from napari_medsyn.exploration.session import Session
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.registry.controls import Control
    from napari_medsyn.scans.study import Scan


@dataclass(frozen=True, slots=True)
class Following:
    """Which covariates may follow the others.

    Parameters
    ----------
    card : of the model; its label model says what goes together.
    fixed : names of those that are set, and so stay.
    """

    card: ModelCard
    fixed: Collection[str]

    def move(self, session: Session) -> dict[str, Any]:
        """Put them where they are expected to be; give those that have left the patient's own.

        They are measured from the patient's own values, wherever they stand.
        """
        free = self.rest(session)
        moved = {
            hint.control: hint.value
            for hint in hints(self.card, session.controls)
            if hint.kind == "depends" and hint.control in free
        }
        for name, value in moved.items():
            session.set_control(name, value)
        return moved

    def rest(self, session: Session) -> list[str]:
        """Put them back to the patient's own values; give their names."""
        own = session.own or {}
        free = [name for name in self.card.covariates if name not in self.fixed]
        for name in free:
            session.set_control(name, own.get(name))
        return free


def check(session: Session) -> None:
    """Raise what the session could not do.

    Raises
    ------
    UnusableStudy, EngineError : the last request failed.
    """
    failure = session.failure
    if failure is None:
        return
    if failure.cause == "input":
        raise UnusableStudy(failure.message)
    raise EngineError(failure.message, failure.detail)


def sweep_through(session: Session, wanted: Sweep, following: Following | None) -> Swept:
    """Compute a series; the session stands at the patient's own values and what is set.

    Parameters
    ----------
    following : which covariates go with the one that is swept; None where they all stay.

    Raises
    ------
    UnusableStudy, EngineError : a step failed, or there is no memory for so many.
    """
    if following is not None:
        return _following(session, wanted, following)
    made: list[Swept] = []
    session.sweep_finished.connect(made.append)
    session.sweep(wanted.control, wanted.values)
    check(session)
    if not made:
        raise EngineError("the sweep came to nothing; please report this")
    return made[0]


def series_hints(
    card: ModelCard, controls: Mapping[str, Any], series: Swept | None, fixed: Collection[str]
) -> tuple[Hint, ...]:
    """What goes together, and what does not; of a series at its two ends.

    Parameters
    ----------
    fixed : names of the covariates that were set on purpose: of these it is not said that
        another value would be expected.
    """
    return tuple(
        hint
        for hint in _all_hints(card, controls, series)
        if hint.kind != "depends" or hint.control not in fixed
    )


def _all_hints(
    card: ModelCard, controls: Mapping[str, Any], series: Swept | None
) -> tuple[Hint, ...]:
    if series is None:
        return hints(card, controls)
    found: list[Hint] = []
    for step in (0, -1):
        followed = _followed(series)[step] if _followed(series) else {}
        at = {**controls, series.control: series.values[step], **followed}
        found += hints(card, at)
    return tuple({hint.sentence: hint for hint in found}.values())


def series_warnings(
    card: ModelCard, controls: Mapping[str, Any], series: Swept | None
) -> tuple[str, ...]:
    """A sentence for each value beyond what the model was trained on."""
    said = []
    for control in card.controls:
        values = [controls[control.name]] if control.name in controls else []
        if series is not None and series.control == control.name:
            values = [series.values[0], series.values[-1]]
        said += [control.warning(value) for value in values]
    return tuple(dict.fromkeys(sentence for sentence in said if sentence))


def _following(session: Session, wanted: Sweep, following: Following) -> Swept:
    """Step by step: the others are put in their places before each."""
    from napari_medsyn.exploration.swept import room_for

    values, reference = wanted.values, cast("Scan", session.reference)
    arrays: dict[str, NDArray[np.float32]] = {}
    moved: list[dict[str, Any]] = []
    for step, value in enumerate(values):
        session.set_control(wanted.control, value)
        moved.append(following.move(session))
        session.impute()
        check(session)
        finished = cast("Finished", session.results)
        arrays = arrays or room_for(tuple(finished.arrays), reference.voxels.shape, len(values))
        for name, array in finished.arrays.items():
            arrays[name][step] = array
    following.rest(session)
    control = _control(following.card, wanted.control)
    unit = getattr(control, "unit", "")
    record = {
        "control": wanted.control,
        "label": control.label,
        "unit": unit,
        "values": list(values),
        "followed": moved,
    }
    others = {k: v for k, v in finished.provenance["controls"].items() if k != wanted.control}
    provenance = {**finished.provenance, "controls": others, "sweep": record}
    return Swept(wanted.control, control.label, unit, values, arrays, provenance, reference)


def _followed(series: Swept) -> list[dict[str, Any]]:
    """For each step what has followed; empty where nothing might."""
    return list(series.provenance["sweep"].get("followed", ()))


def _control(card: ModelCard, name: str) -> Control:
    return next(control for control in card.controls if control.name == name)
