"""The patient's own values: stated, read from the scans, or found by an inversion.

While they are not known, `impute` inverts; once they are, it computes the counterfactual.
They hold for one study, one model and what the user states; a change of these forgets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from psygnal import Signal

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.exploration.controls import INVERT, TASK
from napari_medsyn.exploration.covariates import (
    checked_known,
    facts_of,
    known_values,
    makes_counterfactuals,
    own_values,
)
from napari_medsyn.exploration.requests import Event, Finished, Request
from napari_medsyn.exploration.resolving import NotReady, Step, request_or_refuse, resolve
from napari_medsyn.exploration.state import State


class Inverting(State):
    """A state in which the patient's own values can be found; parameters of `State`."""

    own_changed = Signal()

    _findings: Mapping[str, Any] = MappingProxyType({})

    @property
    def own(self) -> Mapping[str, Any] | None:
        """Every covariate's value of the patient, None for unknown; None before an inversion."""
        return None if self._now.own is None else MappingProxyType(dict(self._now.own))

    @property
    def known(self) -> Mapping[str, Any]:
        """Covariate to value, as far as the user or the files say it."""
        if self.card is None or not makes_counterfactuals(self.card):
            return MappingProxyType({**facts_of(self.study), **self._now.known})
        try:
            known = known_values(self.card, self.study, self._now.known)
        except UnusableModel:
            # Stated under another model; `readiness` says what this one does not take.
            known = dict(self._now.known)
        return MappingProxyType(known)

    @property
    def findings(self) -> Mapping[str, Any]:
        """What the last inversion found out, such as "psnr_db"; empty before one."""
        return self._findings

    @property
    def can_invert(self) -> bool:
        """Whether there is a scan that the model can make counterfactuals of."""
        if self.card is None or not makes_counterfactuals(self.card):
            return False
        return bool(self.present) and not isinstance(self._inversion(0), NotReady)

    def set_known(self, values: Mapping[str, Any]) -> None:
        """State what is known of the patient, in place of what was stated before.

        Parameters
        ----------
        values : covariate to value; None says that it is not known, whatever the files say.

        Raises
        ------
        UnusableModel : the model has no such covariate, or it does not take the value.
        """
        stated = dict(values)
        if self.card is not None:
            stated = checked_known(self.card, stated)
        if stated == dict(self._now.known):
            return
        # What is being computed belongs to somebody else by now.
        self._stop_patient()
        self._change(known=stated)
        self._forget_own(always=True)
        self._follow()

    def invert(self) -> None:
        """Find the latent and the unknown covariates of the patient's scan, also once more.

        Raises
        ------
        UnusableStudy : there is no scan that the model can make counterfactuals of.
        """
        if not self.can_invert:
            request_or_refuse(resolve(self._now, self.card))
            raise UnusableStudy(
                "there is no scan to invert; load one that the model reads, or switch it on"
            )
        self._submit(request_or_refuse(self._inversion(self._next_generation)))

    # ---- within --------------------------------------------------------------------

    @property
    def _is_inverting(self) -> bool:
        return self.is_busy and self._asked is not None and is_inversion(self._asked)

    def _inversion(self, generation: int) -> Request | NotReady:
        return resolve(replace(self._now, own=None), self.card, generation)

    def _change(self, **fields: Any) -> None:
        self._now = replace(self._now, **fields)

    def _move(self, topic: str, **fields: Any) -> bool:
        """Change controls or switches, as one step of undo; tell whether anything changed."""
        before: Step = self._now.step
        self._change(**fields)
        step = self._now.step
        if step == before:
            return False
        self._history.push(step, topic)
        self.controls_changed.emit()
        return True

    def _forget_own(self, *, always: bool = False) -> None:
        """The patient's own values are not known any more."""
        was_known = self._now.own is not None
        self._change(own=None)
        self._findings = MappingProxyType({})
        if was_known or always:
            self.own_changed.emit()

    def _stop_patient(self) -> None:
        """Stop what is being computed of the patient, with its signal; not images of nobody."""
        if self._asked is not None and len(self._asked.study):
            self.cancel()

    def _learn(self, event: Finished, request: Request) -> None:
        """Take over what an inversion has found, before it is told that it is finished."""
        super()._learn(event, request)
        if not is_inversion(request) or self.card is None:
            return
        known = known_values(self.card, self.study, self._now.known)
        own = own_values(self.card, event.findings.get("own", {}), known)
        self._change(own=own)
        self._findings = MappingProxyType(dict(event.findings))
        self._move("", controls={**self._now.controls, **own})
        self.own_changed.emit()

    def _answer(self, event: Event) -> None:
        before = self._now.own
        super()._answer(event)
        if self._now.own is not before and self._now.own is not None and not self.is_busy:
            self._follow()

    def _follow(self) -> None:
        """Compute what has changed, if the session is live and can.

        An inversion takes long and moves the sliders: it is begun by the user only.
        """
        if not self._live or self._is_closed:
            return
        request = resolve(self._now, self.card)
        if isinstance(request, NotReady):
            # What is computed is not what is set any more.
            self.cancel()
        elif self._is_inverting and len(request.study):
            # It tells when it is finished, and is followed then.
            return
        elif is_inversion(request):
            self.cancel()
        else:
            self._pacing.ask()


def is_inversion(request: Request) -> bool:
    """Whether a request is to find the patient's own values, not to show anything."""
    return request.controls.get(TASK) == INVERT
