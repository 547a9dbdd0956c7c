"""The MedSyn dock: one session, its panels, and the layers of one viewer.

The dock only wires: what a gesture means is decided by the session, what it looks like
by the panels.  Nothing here waits; reading, saving and the engine have threads or a
process of their own and answer through the dispatcher.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, QTimer
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_medsyn.errors import MedsynError
from napari_medsyn.exploration.controls import TARGETS
from napari_medsyn.exploration.requests import Finished, Progress, SlabReady
from napari_medsyn.exploration.session import PREPARING, RUNNING, Session
from napari_medsyn.plugin import sessions
from napari_medsyn.plugin.adapters import binding_warning, plain_viewer
from napari_medsyn.plugin.comparison import Comparison
from napari_medsyn.plugin.connections import Connections
from napari_medsyn.plugin.control_panel import ControlPanel
from napari_medsyn.plugin.dispatch import Background, GuiDispatcher
from napari_medsyn.plugin.fitting import action_of, state_text, what_differs, whether_ready
from napari_medsyn.plugin.intake import Intake
from napari_medsyn.plugin.keeping import Keeping
from napari_medsyn.plugin.loading import FILE_FILTER, dropped_paths
from napari_medsyn.plugin.model_panel import ModelPanel
from napari_medsyn.plugin.opening import open_models_dock
from napari_medsyn.plugin.patient_part import PatientPart
from napari_medsyn.plugin.results import ResultLayers
from napari_medsyn.plugin.run_panel import RunPanel
from napari_medsyn.plugin.study_panel import StudyPanel
from napari_medsyn.plugin.sweep_part import SweepPart
from napari_medsyn.plugin.view import displayed_plane
from napari_medsyn.plugin.widgets import Banner, MessageArea, scrolling_column
from napari_medsyn.plugin.wording import covariates_of

if TYPE_CHECKING:
    import napari.viewer
    from napari.utils.events import Event

#: Outputs that the dock shows; the reconstruction itself is left out to spare memory.
_KINDS = ("imputed", "uncertainty", "residual")


class Explorer(QWidget):
    """The dock.

    Parameters
    ----------
    napari_viewer : the viewer it belongs to; napari fills it in.
    session : what it drives; by default a new one with an engine process of its own.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, session: Session | None = None) -> None:
        super().__init__()
        self.viewer = plain_viewer(napari_viewer)
        self._connections = Connections()
        self._dispatch = GuiDispatcher()
        self._background = Background(self._dispatch)
        self.session = session if session is not None else _new_session(self._dispatch)
        self.results = ResultLayers(self.viewer)
        self._closing_order()
        self._build()
        say, say_busy = self.message.show_message, self.run_panel.show_phase
        self.intake = Intake(self, self.viewer, self.session, self._background, say, say_busy)
        self.keeping = Keeping(self, self.session, self._background, say, say_busy)
        self._build_parts()
        self._connect_panels()
        self._connect_session()
        self._connect_viewer()
        self._start()

    # ---- construction --------------------------------------------------------------

    def _closing_order(self) -> None:
        """Register what `close` does last: it undoes in reverse."""
        connections = self._connections
        connections.on_close(self.session.close)
        connections.on_close(sessions.announce(self.viewer, self.session))
        connections.on_close(self._background.close)
        connections.on_close(self._dispatch.close)
        # `closeEvent` never comes to a dock's widget; `destroyed` does, and `atexit`
        # where even that does not.
        atexit.register(connections.close)
        connections.on_close(lambda: atexit.unregister(connections.close))
        self.destroyed.connect(lambda: connections.close())

    def _build(self) -> None:
        self.banner = Banner()
        self.study_panel = StudyPanel()
        self.model_panel = ModelPanel()
        self.control_panel = ControlPanel()
        self.run_panel = RunPanel()
        self.comparison = Comparison(self.viewer, self._connections)
        self.message = MessageArea()
        parts = (
            self.banner,
            self.study_panel,
            self.model_panel,
            self.control_panel,
            self.run_panel,
            self.message,
            self.comparison,
        )
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolling_column(parts))
        self.setMinimumWidth(300)
        self.setAcceptDrops(True)
        self._put_off = QTimer(self)
        self._put_off.setInterval(0)
        self._put_off.timeout.connect(self._on_time_to_spare)

    def sizeHint(self) -> QSize:
        """The width at which nothing is shortened."""
        return QSize(380, 800)

    def _build_parts(self) -> None:
        """What only a model of counterfactuals has."""
        session, run, connections = self.session, self.run_panel, self._connections
        self.patient = PatientPart(
            session,
            self.control_panel,
            self.model_panel,
            run,
            connections,
            self._background,
            self._try,
        )
        self.sweeps = SweepPart(
            self, self.viewer, session, connections, self.keeping, self._try, self.comparison
        )
        self.control_panel.body.addWidget(self.sweeps.panel)

    def _connect_panels(self) -> None:
        study, run = self.study_panel, self.run_panel
        study.files_asked.connect(self._on_open_files)
        study.folder_asked.connect(self._on_open_folder)
        study.layers_asked.connect(lambda: self.use_selected_layers())
        study.sample_asked.connect(lambda: self.load_sample())
        study.use_changed.connect(self._try(self.session.use_modality))
        study.modality_changed.connect(self._try(self.session.set_modality))
        study.remove_asked.connect(self.intake.remove)
        self.model_panel.model_chosen.connect(self._try(self.session.choose_model))
        self.model_panel.models_asked.connect(lambda: open_models_dock(self.viewer))
        self.model_panel.device_chosen.connect(self._try(self.session.set_device))
        self.control_panel.control_changed.connect(self._on_control)
        self.control_panel.options_changed.connect(self._try(self.session.set_options))
        run.impute_asked.connect(self.impute)
        run.invert_asked.connect(lambda: self._begin(self.session.invert))
        run.cancel_asked.connect(self.session.cancel)
        run.undo_asked.connect(self.session.undo)
        run.redo_asked.connect(self.session.redo)
        run.live_changed.connect(self._on_live)
        run.save_asked.connect(self.keeping.ask_and_save)

    def _connect_session(self) -> None:
        session, add = self.session, self._connections.add
        add(session.study_changed, self._on_study_changed)
        add(session.model_changed, self._show_model)
        add(session.controls_changed, self._show_controls)
        add(session.own_changed, self._show_controls)
        add(session.state_changed, self._show_state)
        add(session.progressed, self._on_progress)
        add(session.slab_ready, self._on_slab)
        add(session.finished, self._on_finished)
        add(session.failed, self._on_failed)
        add(session.stopped, self._on_stopped)
        add(sessions.events.catalogue_changed, self._list_models)

    def _connect_viewer(self) -> None:
        layers, dims = self.viewer.layers.events, self.viewer.dims.events
        self._connections.add(layers.inserted, self.intake.on_layer_inserted)
        self._connections.add(layers.removed, self.intake.on_layer_removed)
        self._connections.add(layers.removed, self._on_layer_removed)
        for signal in (dims.current_step, dims.order, dims.ndisplay):
            self._connections.add(signal, self._show_plane)

    def _start(self) -> None:
        self.session.set_kinds(_KINDS)
        self._list_models()
        if self.session.card is None:
            self._try(lambda: self.session.choose_model(self.session.catalogue.default().id))()
        self._show_model()
        if warning := binding_warning():
            self.message.show_message(warning)
        for layer in list(self.viewer.layers):
            self.intake.offer(layer)
        self._show_all()

    # ---- what a script or a command asks for ---------------------------------------

    def open_paths(self, paths: Sequence[str | Path]) -> None:
        """Read files and folders on a thread and load the scans they hold."""
        self.intake.open_paths(paths)

    def load_sample(self, then: Callable[[], None] | None = None) -> None:
        """Load the synthetic sample patient; call `then` when its scans are there."""
        self.intake.load_sample(then)

    @property
    def has_work(self) -> bool:
        """Whether anything is being read, computed, saved or still to be shown."""
        return self._background.busy or self.session.is_busy or self.results.are_waiting

    def use_selected_layers(self, then_impute: bool = False) -> None:
        """Take the selected image layers as scans, whoever opened them."""
        self.intake.use_selected_layers(self._impute_if_ready if then_impute else None)

    def impute(self) -> None:
        """Compute what is set, the plane on screen first."""
        self._begin(self.session.impute)

    def save(self, folder: Path) -> None:
        """Write the results and their provenance into `folder`, on a thread."""
        self.keeping.save(folder)

    def release(self) -> None:
        """Let go of engine, threads and connections; the dock is of no use afterwards."""
        self._connections.close()

    # ---- dialogs and drops ---------------------------------------------------------

    def _on_open_files(self) -> None:
        files, _ = QFileDialog.getOpenFileNames(self, "Open scans", "", FILE_FILTER)
        self.open_paths(files)

    def _on_open_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Open a DICOM folder"):
            self.open_paths([folder])

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files and folders."""
        if dropped_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Load the files and folders that were dropped."""
        event.acceptProposedAction()
        self.open_paths(dropped_paths(event))

    # ---- computing -----------------------------------------------------------------

    def _begin(self, action: Callable[[], None]) -> None:
        self.message.clear()
        self.results.begin()
        self._show_plane()
        self._try(action)()

    def _impute_if_ready(self) -> None:
        if whether_ready(self.session)[0]:
            self.impute()

    def _on_live(self, live: bool) -> None:
        self.results.begin()
        self._show_plane()
        self.session.live = live

    def _on_control(self, name: str, value: Any) -> None:
        if name == TARGETS and self.session.card is not None:
            missing = [m for m in self.session.card.outputs if m not in self.session.present]
            # "All that is missing" follows the switches; any other choice stays as it is.
            value = None if list(value) == missing else value
        self._try(self.session.set_control)(name, value)

    def _on_progress(self, progress: Progress) -> None:
        self.run_panel.show_progress(progress)
        if self.session.state == PREPARING:
            self.model_panel.show_state(f"{progress.phase}…")

    def _on_slab(self, slab: SlabReady) -> None:
        reference = self.session.asked_reference
        if reference is not None:
            self.results.write(slab, reference)
            self._put_off.start()

    def _on_finished(self, finished: Finished) -> None:
        reference = self.session.results_reference
        if reference is not None:
            note = what_differs(self.session.card, finished.provenance.get("controls", {}))
            self.results.complete(finished, reference, note)
            self._put_off.start()
        self._show_all()
        self.message.clear()
        if finished.notes:
            self.message.show_message(" ".join(finished.notes))

    def _on_failed(self, sentence: str, detail: str) -> None:
        self.message.show_message(sentence + self._bring_back_results(), "bad", detail)

    def _on_stopped(self) -> None:
        self.message.show_message("Cancelled." + self._bring_back_results())

    def _bring_back_results(self) -> str:
        """Undo half a computation in the layers; says so."""
        results, reference = self.session.results, self.session.results_reference
        if not self.results.is_incomplete:
            return ""
        if results is None or reference is None or not self.results.is_on(reference):
            return " The planes computed so far stay on screen but cannot be saved."
        self.results.complete(results, reference)
        return " Showing the previous result."

    def _on_layer_removed(self, event: Event) -> None:
        self.results.forget(event.value)

    def _on_time_to_spare(self) -> None:
        if not self.results.show_waiting():
            self._put_off.stop()

    # ---- what the session says -----------------------------------------------------

    def _on_study_changed(self) -> None:
        self._bring_back_results()
        if not len(self.session.study):
            self.results.leave()
        self.intake.layers.show_modalities(self.session.study)
        self._show_plane()
        self._show_all()

    def _show_all(self) -> None:
        self._show_controls()
        self._show_state(self.session.state)

    def _list_models(self) -> None:
        listed = self.session.catalogue.generators()
        choices = [entry for entry in listed if entry.can_run or not entry.is_usable]
        self.model_panel.show_models(choices, self.session.model.id if self.session.model else "")

    def _show_model(self) -> None:
        if self.session.card is not None and not self.model_panel.has(self.session.card.id):
            self._list_models()
        self.model_panel.show_model(self.session.card, self.session.package)
        self.control_panel.show_card(self.session.card)
        self.comparison.show_counterfactuals(bool(covariates_of(self.session.card)))
        self.control_panel.preparation.show_options(self.session.options)
        self.model_panel.show_device(self.session.device)
        self.patient.show_model()
        self.sweeps.show_model()
        self._show_all()

    def _show_controls(self) -> None:
        session = self.session
        readable = session.card.inputs if session.card is not None else ()
        used = [name for name in readable if session.uses(name)]
        self.study_panel.show_study(session.study, readable, used)
        self.control_panel.show_values(session.controls)
        self.control_panel.show_present(session.present)
        self.run_panel.show_history(session.can_undo, session.can_redo)
        self.run_panel.show_live(session.live)
        self._show_fit()

    def _show_fit(self) -> None:
        ready, reason = whether_ready(self.session)
        self.run_panel.show_ready(ready, reason, action=action_of(self.session))
        self.patient.ask_outlook()

    def _show_state(self, state: str) -> None:
        running = state in (PREPARING, RUNNING)
        self.run_panel.show_running(running)
        self.model_panel.show_state(state_text(self.session))
        self.run_panel.show_savable(self.session.results is not None)

    def _show_plane(self, *_: object) -> None:
        """Tell the session which plane is on screen."""
        reference = self.session.reference
        plane = displayed_plane(self.viewer, reference) if reference is not None else None
        if plane is not None:
            self.session.set_viewport(plane.axis, plane.index)

    # ---- within --------------------------------------------------------------------

    def _try(self, action: Callable[..., None]) -> Callable[..., None]:
        """`action`, with a refusal shown as a sentence and the panels set back."""

        def attempted(*arguments: Any) -> None:
            try:
                action(*arguments)
            except MedsynError as error:
                self.message.show_message(str(error), "bad")
                self._show_all()

        return attempted


def _new_session(dispatch: GuiDispatcher) -> Session:
    from napari_medsyn.exploration.engines.process import ProcessEngine

    return Session(engine=ProcessEngine(), dispatch=dispatch)
