"""The patient in a model of counterfactuals: own values, reconstruction, what goes together.

Wires the session to the panels that show these; the values themselves are the session's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QObject, QTimer

from napari_medsyn.plugin.connections import Connections
from napari_medsyn.plugin.control_panel import ControlPanel
from napari_medsyn.plugin.dispatch import Background, Outcome
from napari_medsyn.plugin.fitting import Outlook, has_hints, outlook
from napari_medsyn.plugin.model_panel import ModelPanel
from napari_medsyn.plugin.models.latest import Latest
from napari_medsyn.plugin.run_panel import RunPanel

if TYPE_CHECKING:
    from napari_medsyn.exploration.session import Session

#: How long the controls must rest before the label model is asked about them, in ms.
_REST: Final = 150

#: An action that may be refused, with the refusal shown as a sentence.
Attempt = Callable[[Callable[..., None]], Callable[..., None]]


class PatientPart(QObject):
    """Shows what is known of the patient, and takes what the user says.

    Parameters
    ----------
    session, control_panel, model_panel, run_panel, connections, background : of the dock.
    attempt : wraps an action so that a refusal becomes a sentence.
    """

    def __init__(
        self,
        session: Session,
        control_panel: ControlPanel,
        model_panel: ModelPanel,
        run_panel: RunPanel,
        connections: Connections,
        background: Background,
        attempt: Attempt,
    ) -> None:
        super().__init__()
        self._session = session
        self._controls = control_panel
        self._model = model_panel
        self._run = run_panel
        self._latest = Latest(background)
        #: What the user has last said of Live; until then it goes on by itself.
        self._goes_live = True
        # Not within the session's own signal: it is still busy with what it has found.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._set_live)
        self._of_patient = False
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST)
        self._rest.timeout.connect(self._on_rest)
        control_panel.person.stated.connect(attempt(self._on_stated))
        control_panel.hints.taken.connect(attempt(session.set_control))
        run_panel.live_changed.connect(self._on_live)
        connections.add(session.own_changed, self._show_own)
        connections.add(session.own_changed, self._go_live)
        connections.add(session.study_changed, self._show_own)
        connections.add(session.controls_changed, self._on_controls)
        connections.on_close(self._rest.stop)
        connections.on_close(self._soon.stop)

    # ---- what the user does --------------------------------------------------------

    def _on_stated(self, name: str, value: Any) -> None:
        # All fields at once: one that was emptied stays open, whatever the files say.
        known = self._session.known
        stated = {field: known.get(field) for field in self._controls.person.fields}
        try:
            self._session.set_known({**stated, name: value})
        finally:
            self._show_own()

    def _on_live(self, live: bool) -> None:
        self._goes_live = live

    # ---- what the session says -----------------------------------------------------

    def show_model(self) -> None:
        """Another model is chosen, and its controls are there."""
        self._controls.hints.show_hints((), None)
        self._show_own()

    def _show_own(self) -> None:
        """Show the patient's own values wherever they are shown, and how well they fit."""
        session = self._session
        self._of_patient = session.can_invert
        own = session.own if self._of_patient else None
        found = session.findings if own is not None else {}
        person = self._controls.person
        person.show_person(session.known, own)
        person.setVisible(self._of_patient and bool(person.fields))
        self._controls.show_own(own or {})
        self._controls.show_whom(self._of_patient, own is not None)
        self._run.show_reconstruction(found.get("psnr_db"), str(found.get("warning", "")))
        self.ask_outlook()

    def _on_controls(self) -> None:
        # A switch beside the scan makes the difference between the patient and nobody.
        if self._session.can_invert != self._of_patient:
            self._show_own()

    def _go_live(self) -> None:
        """After an inversion the picture follows the sliders, unless the user has said no."""
        session = self._session
        if session.own is not None and self._goes_live and not session.live:
            self._soon.start(0)

    def _set_live(self) -> None:
        if self._session.own is not None and not self._session.is_busy:
            self._run.live.setChecked(True)

    # ---- what goes together --------------------------------------------------------

    def ask_outlook(self) -> None:
        """Say below the model and the controls what is to be said of them, soon."""
        if has_hints(self._session.card):
            self._rest.start()
        else:
            self._show_outlook(outlook(self._session))

    def _on_rest(self) -> None:
        session = self._session
        self._latest.start(lambda: outlook(session), self._on_outlook)

    def _on_outlook(self, outcome: Outcome) -> None:
        if outcome.ok:
            self._show_outlook(outcome.value)
        else:
            self._show_outlook(Outlook(outcome.message, "bad"))

    def _show_outlook(self, said: Outlook) -> None:
        self._model.fit.show_text(said.text, said.degree)
        # Before an inversion the controls stand for nobody.
        waits = self._session.can_invert and self._session.own is None
        card = None if waits else self._session.card
        self._controls.hints.show_hints(said.hints, card)
        self._controls.show_amber({h.control for h in said.hints if h.kind == "unsupported"})
