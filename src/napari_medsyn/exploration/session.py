"""The session: what one user is doing, observable and without Qt.

One gesture goes like this:

1. a panel, the command line or a script calls a method below (`set_control`, …);
2. the session changes a field, remembers the step for undo and emits a signal;
3. if it is live, `resolve` turns the fields into a frozen `Request`;
4. the engine computes it and sends events, each with the request's generation;
5. events of the newest generation are emitted as signals; older ones are dropped.

All methods are called on one thread.  Engines answer on threads of their own;
`dispatch` brings their events to the session's thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.exploration.computing import FAILED, IDLE, PREPARING, RUNNING, Dispatch
from napari_medsyn.exploration.controls import (
    PRESENT,
    TARGETS,
    carried_over,
    checked,
    default_values,
)
from napari_medsyn.exploration.engines.base import Engine
from napari_medsyn.exploration.history import History
from napari_medsyn.exploration.requests import PreparationOptions, Viewport
from napari_medsyn.exploration.resolving import (
    KINDS,
    NotReady,
    Step,
    request_or_refuse,
    resolve,
    switched_off_but,
)
from napari_medsyn.exploration.sweeping import Sweeping
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.study import Scan, Study

__all__ = ["FAILED", "IDLE", "PREPARING", "RUNNING", "Session"]


class Session(Sweeping):
    """Study, model, controls, what is computed and what came of it.

    Parameters
    ----------
    engine : computes requests and is closed with the session; by default in this process.
    catalogue : the models to choose from; by default the embedded and the user's.
    dispatch : runs a function on the session's thread; by default at once, on the
        engine's.
    """

    def __init__(
        self,
        engine: Engine | None = None,
        catalogue: Catalogue | None = None,
        dispatch: Dispatch | None = None,
    ) -> None:
        if engine is None:
            from napari_medsyn.exploration.engines.in_process import InProcessEngine

            engine = InProcessEngine()
        super().__init__(engine, catalogue or Catalogue(), dispatch)

    @property
    def live(self) -> bool:
        """Whether each change is computed at once."""
        return self._live

    @live.setter
    def live(self, value: bool) -> None:
        self._live = value
        self._follow()

    # ---- scans and model -----------------------------------------------------------

    def add_scan(self, scan: Scan) -> None:
        """Add a scan, or put it in place of the one with the same id.

        Raises
        ------
        UnusableStudy : the study has another scan of that modality.
        """
        self._set_study(self.study.with_scan(scan))

    def remove_scan(self, scan_id: str) -> None:
        """Take a scan out of the study."""
        self._set_study(self.study.without(scan_id))

    def set_modality(self, scan_id: str, modality: str) -> None:
        """Say what a scan shows.

        Raises
        ------
        UnusableStudy : the study has no such scan, or another one of that modality.
        """
        scan = next((scan for scan in self.study if scan.id == scan_id), None)
        if scan is None:
            raise UnusableStudy("this scan is no longer part of the study; load it again")
        self._set_study(self.study.with_scan(scan.with_modality(modality)))

    def set_study(self, study: Study) -> None:
        """Put another study in place of the present one."""
        self._set_study(study)

    def choose_model(self, model_id: str) -> None:
        """Choose a model by its id; controls it shares with the last one keep their values.

        Raises
        ------
        UnusableModel : there is no such generator, its package is broken, or it is listed
            only.
        """
        entry = self.catalogue.get(model_id, "generator")
        if entry.card is None or not entry.can_run:
            raise UnusableModel(f"{model_id} cannot be run: {entry.why_not}")
        if self._entry is not None and entry.package == self._entry.package:
            values = dict(self._now.controls)
        else:
            values = carried_over(entry.card, self._now.controls)
        self._drop()
        self._entry = entry
        self._change(package=entry.package, controls=values, targets=None)
        self._forget_own()
        # Undo does not lead back to another model: its controls would not fit.
        self._history = History(self._now.step)
        self.model_changed.emit()
        self.controls_changed.emit()
        self._follow()

    # ---- controls ------------------------------------------------------------------

    def set_control(self, name: str, value: Any) -> None:
        """Set one control; a drag of it is one step of undo.

        Raises
        ------
        UnusableModel : no model is chosen, or it has no such control or value.
        """
        if self.card is None:
            raise UnusableModel("choose a model before its controls are set")
        if name == TARGETS:
            targets = None if value is None else tuple(value)
            self._set(name, targets=targets)
        elif name == PRESENT:
            self._set(name, switched_off=switched_off_but(self.card, value))
        else:
            checked_value = checked(self.card, name, value)
            self._set(name, controls={**self._now.controls, name: checked_value})

    def use_modality(self, modality: str, use: bool) -> None:
        """Let the model read `modality`, or play at it missing."""
        off = self._now.switched_off
        self._set("", switched_off=off - {modality} if use else off | {modality})

    def reset_controls(self) -> None:
        """Put every control back to the card's default and every switch on."""
        values = default_values(self.card) if self.card is not None else {}
        self._set("", controls=values, switched_off=frozenset(), targets=None)

    def set_kinds(self, kinds: tuple[str, ...]) -> None:
        """Say which kinds of output to compute, of `resolving.KINDS`."""
        strange = [kind for kind in kinds if kind not in KINDS]
        if strange:
            raise UnusableModel(f"there is no output called {strange[0]!r}; {', '.join(KINDS)}")
        self._change(kinds=tuple(kind for kind in KINDS if kind in kinds))
        self._follow()

    def set_viewport(self, axis: int, index: int) -> None:
        """Say which plane of `reference` is on screen; it is computed first."""
        viewport = Viewport(axis, index)
        if viewport != self.viewport:
            self._change(viewport=viewport)
            if self.is_busy:
                self._engine.look_at(viewport)

    def set_options(self, options: PreparationOptions) -> None:
        """Say how the study is brought to the model's grid."""
        if options != self.options:
            self._change(options=options)
            self._follow()

    def set_device(self, device: str) -> None:
        """Say where to compute: "auto", "cpu" or "cuda"."""
        if device != self.device:
            self._change(device=device)
            self._follow()

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to take again."""
        return self._history.can_redo

    def undo(self) -> None:
        """Take the last change of controls or switches back."""
        self._restore(self._history.undo())

    def redo(self) -> None:
        """Take again what was taken back."""
        self._restore(self._history.redo())

    # ---- computing -----------------------------------------------------------------

    def impute(self) -> None:
        """Compute what is set; what is being computed is dropped.

        Of a scan that the model makes counterfactuals of, the patient's own values are found
        first, by `invert`.

        Raises
        ------
        UnusableStudy : there is nothing to compute; `readiness` gives the same reason.
        """
        request = request_or_refuse(resolve(self._now, self.card, self._next_generation))
        self._submit(request)

    def save(self, folder: Path) -> list[Path]:
        """Write the results and their provenance into `folder`; give the files.

        It may take seconds: an interface calls `saving.save_results` on a worker thread
        with `results` and `results_reference`.

        Raises
        ------
        UnusableStudy : there is no result yet.
        UnusableFile : the folder cannot be written to.
        """
        from napari_medsyn.exploration.saving import save_results

        if self._results is None or self._answered is None:
            raise UnusableStudy("there is no result to save yet; press Impute first")
        return save_results(self._results, self._answered.reference, folder)

    # ---- within --------------------------------------------------------------------

    def _set_study(self, study: Study) -> None:
        # What is being computed belongs to scans that are no longer these.
        self._drop()
        known = self._now.known if _is_same_patient(self.study, study) else {}
        self._change(study=study, known=known)
        self.study_changed.emit()
        self._forget_own()
        self._follow()

    def _set(self, topic: str, **fields: Any) -> None:
        """Change controls or switches: one step of undo."""
        if self._move(topic, **fields):
            self._follow()

    def _restore(self, step: Step) -> None:
        if step == self._now.step:
            return
        controls, switched_off, targets = step
        self._change(controls=dict(controls), switched_off=switched_off, targets=targets)
        self.controls_changed.emit()
        self._follow()

    def _compute_now(self) -> None:
        request = resolve(self._now, self.card, self._next_generation)
        # A change that waited may be out of date: live may be off by now, a switch thrown.
        if self._live and not isinstance(request, NotReady):
            self._submit(request)


def _is_same_patient(before: Study, after: Study) -> bool:
    """Whether what is stated of a patient still holds: scans came or went, not all of them."""
    stayed = {scan.id for scan in before} & {scan.id for scan in after}
    return bool(stayed) or not len(before)
