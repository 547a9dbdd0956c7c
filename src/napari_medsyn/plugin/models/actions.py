"""What can be done with packages: the questions that are asked first, the job, the outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_medsyn.errors import MedsynError
from napari_medsyn.plugin import sessions
from napari_medsyn.plugin.dispatch import Background, GuiDispatcher, Outcome
from napari_medsyn.plugin.models import jobs
from napari_medsyn.plugin.models.dialogs import ConsentDialog, Question, ReportDialog
from napari_medsyn.plugin.models.import_dialog import ImportDialog, Importer
from napari_medsyn.plugin.models.job_runner import JobRunner
from napari_medsyn.plugin.models.rows import Row
from napari_medsyn.plugin.widgets import MessageArea
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.consent import code_facts

#: What the file dialog offers.
_PACKAGES = "Model packages (*.zip card.json);;All files (*)"


class RunningView(Protocol):
    """Who shows that a job runs."""

    def show_running(self, running: bool) -> None:
        """A job has begun or ended."""

    def show_progress(self, share: float | None, text: str) -> None:
        """How far it is."""


class Actions:
    """Verify, test, trust, remove, install and import; everything slow on a thread.

    Parameters
    ----------
    parent : of the dialogs.
    background, dispatch : of the dock.
    message : where outcomes are told.
    view : shows progress.
    select : is called with the folder of a model that was installed.
    """

    def __init__(
        self,
        parent: QWidget,
        background: Background,
        dispatch: GuiDispatcher,
        message: MessageArea,
        view: RunningView,
        select: Callable[[Path], None],
    ) -> None:
        self._parent, self._message, self._view, self._select = parent, message, view, select
        self.runner = JobRunner(background, dispatch, self)

    # ---- the selected model --------------------------------------------------------

    def verify(self, row: Row) -> None:
        """Compare every file of a package with its card."""
        self._start(lambda ticket: jobs.verify_package(row.entry.package, ticket))

    def test(self, row: Row) -> None:
        """Run the tests of a model in a process of its own, and show their table."""
        self._start(
            lambda ticket: jobs.test_package(row.entry.package, row.name, ticket),
            lambda done: self._show_report(f"Test of {row.name}", done),
        )

    def remove(self, row: Row) -> None:
        """Delete one of the user's packages after a question."""
        if row.entry.is_embedded:
            self._message.show_message(f"{row.name} came with napari-medsyn and stays.", "bad")
            return
        text = f"Delete {row.name}? The folder {row.entry.package} and all in it will be gone."
        question = Question(self._parent, "Remove the model?", text, "Delete")
        question.accepted.connect(lambda: self._change(lambda _: jobs.remove_package(row.entry)))
        question.open()

    def trust(self, row: Row, card: ModelCard) -> None:
        """Show what code a package brings and ask for consent; or take consent back."""
        package = row.entry.package
        if row.badge.state != "needs consent":
            self._change(lambda _: jobs.distrust_package(package, card))
            return
        try:
            dialog = ConsentDialog(self._parent, card, code_facts(package, card))
        except MedsynError as error:
            self._message.show_message(str(error), "bad")
            return
        dialog.accepted.connect(lambda: self._change(lambda _: jobs.trust_package(package, card)))
        dialog.open()

    def set_up(self, row: Row) -> None:
        """Make an environment with the Python packages that a package's code needs."""
        text = (
            f"{row.badge.sentence.partition(', which')[0]}. pip downloads them into an environment "
            "of their own; napari's stays as it is. Setting up a Python package may run its code."
        )
        question = Question(self._parent, "Set up the model?", text, "Set up")
        question.accepted.connect(
            lambda: self._change(lambda t: jobs.set_up_package(row.entry.package, row.name, t))
        )
        question.open()

    # ---- models that come in -------------------------------------------------------

    def ask_for_file(self) -> None:
        """Install package files that the user chooses."""
        files, _ = QFileDialog.getOpenFileNames(self._parent, "Install models", "", _PACKAGES)
        self.install([Path(file) for file in files])

    def ask_for_folder(self) -> None:
        """Install a package folder that the user chooses."""
        if folder := QFileDialog.getExistingDirectory(self._parent, "Install a model package"):
            self.install([Path(folder)])

    def install(self, sources: Sequence[Path]) -> None:
        """Add packages to the user's models: folders, zip archives or cards."""
        if sources:
            self._change(lambda ticket: jobs.install_packages(sources, ticket))

    def ask_to_import(self, importer: Importer) -> None:
        """Ask for what an importer needs, run it, and install what it makes."""

        def go_on(source: Path, options: Sequence[tuple[str, str]]) -> None:
            self._change(lambda t: jobs.import_model(importer.command, source, options, t))

        ImportDialog(self._parent, importer, go_on).open()

    # ---- jobs ----------------------------------------------------------------------

    def _start(
        self, job: jobs.Job, then: Callable[[jobs.Done | None], None] = lambda _done: None
    ) -> None:
        if not self.runner.start(job, then):
            self._message.show_message("Wait for what is running, or cancel it.")

    def _change(self, job: jobs.Job) -> None:
        """Do something after which the catalogue may be another one; all docks list it again."""
        self._start(job, self._on_changed)

    def _on_changed(self, done: jobs.Done | None) -> None:
        if done is not None and done.package is not None:
            self._select(done.package)
        # Also where it failed: of several packages, some may be installed by then.
        sessions.events.catalogue_changed.emit()

    def show_running(self, running: bool) -> None:
        """Clear the last message when a job begins."""
        if running:
            self._message.clear()
        self._view.show_running(running)

    def show_progress(self, share: float | None, text: str) -> None:
        """Show how far the job is."""
        self._view.show_progress(share, text)

    def show_outcome(self, outcome: Outcome) -> None:
        """Tell what became of the job."""
        if not outcome.ok:
            self._message.show_message(outcome.message, "bad", outcome.detail)
        elif isinstance(outcome.value, jobs.Done):
            done = outcome.value
            self._message.show_message(done.sentence, done.degree, done.detail)
        else:
            self._message.show_message(str(outcome.value))

    def _show_report(self, title: str, done: jobs.Done | None) -> None:
        if done is not None and done.report is not None:
            ReportDialog(self._parent, title, done.report).show()
