"""A sweep in a session: request after request through the same engine, as one piece of work.

A sweep shows nothing on its way but how far it is; slabs and results of the single steps are
its own.  What is changed meanwhile is computed when it is over; a new request ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.exploration.computing import RUNNING
from napari_medsyn.exploration.inverting import Inverting, is_inversion
from napari_medsyn.exploration.requests import Event, Finished, Progress, Request, SlabReady
from napari_medsyn.exploration.resolving import request_or_refuse, resolve
from napari_medsyn.exploration.sweep_files import save_sweep
from napari_medsyn.exploration.swept import Sweep, Swept, room_for
from napari_medsyn.registry.controls import Control

__all__ = ["Sweep", "Sweeping", "Swept", "save_sweep"]


@dataclass(eq=False)
class _Under:
    """A sweep under way.

    Parameters
    ----------
    sweep, control : what goes through which values, and what the card says of it.
    requests : one for each value.
    arrays : output to (n, X, Y, Z), of which `done` steps are filled.
    """

    sweep: Sweep
    control: Control
    requests: tuple[Request, ...]
    arrays: dict[str, NDArray[np.float32]]
    done: int = 0

    def progress(self, event: Progress) -> Progress:
        """How far all steps are, when this one is at `event`; its length stands for all."""
        total = event.total if event.stage == "running" else 0
        steps = len(self.requests)
        done = self.done * total + event.done if total else self.done
        phase = f"{event.phase} · step {self.done + 1} of {steps}"
        return replace(event, done=done, total=steps * (total or 1), phase=phase)

    def take(self, event: Finished) -> None:
        """Keep the results of the step under way; the engine's arrays may be its own."""
        for name, array in event.arrays.items():
            self.arrays[name][self.done] = array
        self.done += 1

    def result(self, last: Finished) -> Swept:
        """What came of it; `last` is the answer to the last step."""
        name, values = self.sweep.control, self.sweep.values
        label, unit = self.control.label, getattr(self.control, "unit", "")
        sweep = {"control": name, "label": label, "unit": unit, "values": list(values)}
        others = {k: v for k, v in last.provenance.get("controls", {}).items() if k != name}
        provenance = {**last.provenance, "controls": others, "sweep": sweep}
        return Swept(name, label, unit, values, self.arrays, provenance, self.requests[0].reference)


class Sweeping(Inverting):
    """A session that can sweep; parameters of `State`."""

    sweep_progressed = Signal(Progress)
    sweep_finished = Signal(Swept)

    _under: _Under | None = None
    _has_waited = False

    @property
    def is_sweeping(self) -> bool:
        """Whether a sweep is being computed."""
        return self._under is not None

    def sweep(self, control: str, values: Sequence[Any]) -> None:
        """Compute what is set once for each value of `control`; `cancel` ends it.

        `sweep_progressed` (and `progressed`) tell how far all of it is, `sweep_finished` gives
        the result, `failed` and `stopped` are as for a single request.

        Raises
        ------
        UnusableModel : there is no such control, or it does not take a value.
        UnusableStudy : there is nothing to compute, the patient's own values are not known
            yet, or the results would not fit in memory.
        """
        card = self.card
        if card is None:
            raise UnusableModel("choose a model before a control is swept")
        sweep = Sweep.checked(card, control, values)
        requests = tuple(
            request_or_refuse(
                resolve(replace(self._now, controls={**self._now.controls, control: value}), card)
            )
            for value in sweep.values
        )
        if is_inversion(requests[0]):
            raise UnusableStudy(
                "a sweep starts from the patient's own values: invert the scan first"
            )
        first = requests[0]
        arrays = room_for(first.outputs, first.reference.voxels.shape, len(requests))
        described = next(one for one in card.controls if one.name == control)
        self._drop()
        self._under = _Under(sweep, described, requests, arrays)
        super()._submit(replace(first, generation=self._next_generation))

    # ---- within --------------------------------------------------------------------

    def _submit(self, request: Request) -> None:
        self._under = None
        super()._submit(request)

    def _drop(self) -> None:
        self._under, self._has_waited = None, False
        super()._drop()

    def _follow(self) -> None:
        if self._under is not None:
            self._has_waited = True
        else:
            super()._follow()

    def _answer(self, event: Event) -> None:
        under = self._under
        if under is None or self._is_closed or event.generation != self._generation:
            super()._answer(event)
            return
        match event:
            case Progress():
                if event.stage == "running":
                    self._set_state(RUNNING)
                overall = under.progress(event)
                self.progressed.emit(overall)
                self.sweep_progressed.emit(overall)
            case SlabReady():
                self._set_state(RUNNING)
            case Finished():
                under.take(event)
                self._go_on(under, event)
            case _:
                self._under = None
                super()._answer(event)
                self._catch_up()

    def _go_on(self, under: _Under, event: Finished) -> None:
        """Compute the next step, or tell that there is none left."""
        if under.done < len(under.requests):
            request = replace(under.requests[under.done], generation=self._next_generation)
            self._ask(request)
            return
        self._under = None
        self._end()
        self.sweep_finished.emit(under.result(event))
        self._catch_up()

    def _catch_up(self) -> None:
        """Compute what was changed during the sweep."""
        has_waited, self._has_waited = self._has_waited, False
        if has_waited and not self.is_busy:
            self._follow()
