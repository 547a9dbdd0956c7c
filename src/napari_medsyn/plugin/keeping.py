"""Writing results into a folder that the user chooses, on a thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_medsyn.exploration.saving import save_results
from napari_medsyn.plugin.dispatch import Background, Outcome

if TYPE_CHECKING:
    from napari_medsyn.exploration.session import Session


class Keeping:
    """Saves what the session has computed, and says where it is.

    Parameters
    ----------
    window : parent of the dialogs.
    session, background : of the dock.
    say : shows a sentence: text, degree ("good", "note", "bad"), detail.
    say_busy : shows what is being written, "" when it is done.
    """

    def __init__(
        self,
        window: QWidget,
        session: Session,
        background: Background,
        say: Callable[[str, str, str], None],
        say_busy: Callable[[str], None],
    ) -> None:
        self._window = window
        self._session = session
        self._background = background
        self._say = say
        self._say_busy = say_busy

    def ask_and_save(self) -> None:
        """Ask for a folder and save the results there."""
        if folder := self.ask_folder("Save the results into a folder"):
            self.save(folder)

    def ask_folder(self, title: str) -> Path | None:
        """The folder that the user chooses; None where the user gives up."""
        folder = QFileDialog.getExistingDirectory(self._window, title)
        return Path(folder) if folder else None

    def save(self, folder: Path) -> None:
        """Write the results and their provenance into `folder`."""
        results, reference = self._session.results, self._session.results_reference
        if results is None or reference is None:
            self._say("There is no result to save yet; press Impute first.", "bad", "")
            return
        self.write(lambda: save_results(results, reference, folder))

    def write(self, job: Callable[[], list[Path]]) -> None:
        """Run `job`, which gives the files it has written, and say where they are."""
        self._say_busy("Saving…")
        self._background.start(job, self._on_saved)

    def _on_saved(self, outcome: Outcome) -> None:
        self._say_busy("")
        if not outcome.ok:
            self._say(outcome.message, "bad", outcome.detail)
            return
        files: list[Path] = outcome.value
        one = f"Saved {files[0]}" if len(files) == 1 else ""
        many = f"Saved {len(files)} files in {files[0].parent}"
        self._say(one or many, "good", "\n".join(map(str, files)))
