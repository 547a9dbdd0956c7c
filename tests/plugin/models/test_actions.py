"""Questions before the deed: nothing happens without the answer, and everything after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QDialog, QFileDialog, QLabel
from tests._fakes import make_package
from tests.plugin.models._made import ISOLATED, made_entry, rows_of
from tests.plugin.models.conftest import MakeDock, at_rest
from tests.plugin.models.test_jobs import isolated_package

from napari_medsyn.errors import UnusableModel
from napari_medsyn.evaluation.checks import Check, Report
from napari_medsyn.plugin.models import jobs
from napari_medsyn.plugin.models.dialogs import ConsentDialog, Question, ReportDialog
from napari_medsyn.plugin.models.dock import ModelsDock
from napari_medsyn.plugin.models.import_dialog import IMPORTERS, ImportDialog
from napari_medsyn.registry.catalogue import Catalogue

OpenDock = Callable[[], ModelsDock]


@pytest.fixture
def folder(home: Path) -> Path:
    models = home / "models"
    make_package(models / "brain", id="brain", name="Brain")
    isolated_package(models / "with-code")
    return models


@pytest.fixture
def dock(make_dock: MakeDock, folder: Path) -> ModelsDock:
    return make_dock(catalogue=Catalogue([(folder, "user")]))


def dialog_of(dock: ModelsDock, kind: type[QDialog]) -> QDialog:
    """The dialog of that kind that is open."""
    (found,) = (one for one in dock.findChildren(kind) if one.isVisible())
    return found


def names(dock: ModelsDock) -> list[str]:
    return sorted(row.entry.id for row in dock.listing.rows)


def select(dock: ModelsDock, package: Path, qtbot: QtBot) -> None:
    dock.select(package)
    at_rest(dock, qtbot)


def test_a_package_is_removed_after_a_question(
    dock: ModelsDock, folder: Path, qtbot: QtBot
) -> None:
    select(dock, folder / "brain", qtbot)
    dock.model_buttons.remove.click()
    question = dialog_of(dock, Question)
    assert (folder / "brain").is_dir()
    question.go_on.click()
    qtbot.waitUntil(lambda: names(dock) == ["with-code"], timeout=10_000)
    assert dock.message.text == "Removed Brain."
    assert not (folder / "brain").exists()


def test_a_package_stays_if_the_question_is_left(
    dock: ModelsDock, folder: Path, qtbot: QtBot
) -> None:
    select(dock, folder / "brain", qtbot)
    dock.model_buttons.remove.click()
    dialog_of(dock, Question).leave.click()
    at_rest(dock, qtbot)
    assert (folder / "brain").is_dir()
    assert dock.message.text == ""


def test_what_came_with_us_stays(make_dock: MakeDock, folder: Path, qtbot: QtBot) -> None:
    dock = make_dock(catalogue=Catalogue([(folder, "embedded")]))
    select(dock, folder / "brain", qtbot)
    dock.view.remove_asked.emit()
    assert dock.findChildren(Question) == []
    assert dock.message.text == "Brain came with napari-medsyn and stays."


def test_code_is_trusted_after_its_files_were_shown_and_distrusted_at_once(
    dock: ModelsDock, folder: Path, qtbot: QtBot
) -> None:
    select(dock, folder / "with-code", qtbot)
    assert not dock.model_buttons.use.isEnabled()
    dock.model_buttons.trust.click()
    dialog = dialog_of(dock, ConsentDialog)
    assert dialog.files.item(0, 0).text() == "code/generate.py"
    assert str(folder / "with-code" / "code") in dialog.folder.text()
    dialog.go_on.click()
    qtbot.waitUntil(lambda: dock.current().badge.state == "no scan", timeout=10_000)
    assert dock.current().entry.id == "with-code"
    assert dock.model_buttons.use.isEnabled()
    assert dock.model_buttons.trust.text() == "Withdraw trust"
    at_rest(dock, qtbot)
    dock.model_buttons.trust.click()
    qtbot.waitUntil(lambda: dock.current().badge.state == "needs consent", timeout=10_000)


def test_code_is_not_trusted_if_the_dialog_is_left(
    dock: ModelsDock, folder: Path, qtbot: QtBot
) -> None:
    select(dock, folder / "with-code", qtbot)
    dock.model_buttons.trust.click()
    dialog_of(dock, ConsentDialog).leave.click()
    at_rest(dock, qtbot)
    assert dock.current().badge.state == "needs consent"


def test_an_environment_is_made_after_a_question(
    dock: ModelsDock, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = made_entry("x", name="X", **ISOLATED, requires={"packages": ["no-such-thing"]})
    (row,) = rows_of(entry, has_consent=lambda *_: True)
    done = jobs.Done("X has what it needs.")
    monkeypatch.setattr(jobs, "set_up_package", lambda *_: done)
    dock.package_actions.set_up(row)
    question = dialog_of(dock, Question)
    words = " ".join(label.text() for label in question.findChildren(QLabel))
    assert "It needs no-such-thing. pip downloads" in words
    assert dock.message.text == ""
    question.go_on.click()
    at_rest(dock, qtbot)
    assert dock.message.text == "X has what it needs."


def test_a_test_shows_its_table(
    dock: ModelsDock, folder: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = Report("brain", "1.2.0", (Check("plan", False, "no slice"),))
    done = jobs.Done("Brain failed a test.", degree="bad", report=report)
    monkeypatch.setattr(jobs, "test_package", lambda *_: done)
    select(dock, folder / "brain", qtbot)
    dock.model_buttons.test.click()
    at_rest(dock, qtbot)
    dialog = dialog_of(dock, ReportDialog)
    assert [dialog.table.item(0, n).text() for n in range(3)] == ["plan", "failed", "no slice"]
    assert dock.message.text == "Brain failed a test."
    dialog.close()


def test_a_test_that_cannot_run_shows_no_table(
    dock: ModelsDock, folder: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> jobs.Done:
        raise UnusableModel("monai is missing")

    monkeypatch.setattr(jobs, "test_package", refuse)
    select(dock, folder / "brain", qtbot)
    dock.model_buttons.test.click()
    at_rest(dock, qtbot)
    assert dock.message.text == "monai is missing"
    assert dock.findChildren(ReportDialog) == []


def test_files_and_folders_that_were_chosen_are_installed(
    dock: ModelsDock, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_package(tmp_path / "new", id="new")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", staticmethod(lambda *_: str(source)))
    monkeypatch.setattr(
        QFileDialog, "getOpenFileNames", staticmethod(lambda *_: ([str(tmp_path / "no.zip")], ""))
    )
    dock.catalogue_buttons.folder_asked.emit()
    qtbot.waitUntil(lambda: "new" in names(dock), timeout=10_000)
    at_rest(dock, qtbot)
    dock.catalogue_buttons.file_asked.emit()
    at_rest(dock, qtbot)
    assert "no.zip: does not exist" in dock.message.text


@pytest.mark.parametrize("asker", ["getExistingDirectory", "getOpenFileNames"])
def test_a_file_dialog_that_is_left_starts_nothing(
    dock: ModelsDock, monkeypatch: pytest.MonkeyPatch, asker: str
) -> None:
    answer = "" if asker == "getExistingDirectory" else ([], "")
    monkeypatch.setattr(QFileDialog, asker, staticmethod(lambda *_: answer))
    signals = dock.catalogue_buttons
    (signals.folder_asked if answer == "" else signals.file_asked).emit()
    assert not dock.package_actions.runner.busy


def test_an_import_asks_runs_and_tells(
    dock: ModelsDock, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def import_model(kind: str, source: Path, options: object, ticket: jobs.Ticket) -> jobs.Done:
        asked.append((kind, source, options))
        return jobs.Done("Installed X. 1 note in the details.", "no preview", None, "note")

    monkeypatch.setattr(jobs, "import_model", import_model)
    dock.catalogue_buttons.import_asked.emit(IMPORTERS[2])
    dialog = dialog_of(dock, ImportDialog)
    dialog.fields["Bundle"].setText("/a/bundle")
    dialog.start.click()
    at_rest(dock, qtbot)
    assert asked == [("monai-bundle", Path("/a/bundle"), [("--id", ""), ("--licence", "")])]
    assert dock.message.text == "Installed X. 1 note in the details."
    assert dock.message.detail == "no preview"


def test_a_second_job_waits_for_its_turn(
    dock: ModelsDock, folder: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    go_on = threading.Event()

    def wait(*_: object) -> jobs.Done:
        go_on.wait(10)
        return jobs.Done("done")

    monkeypatch.setattr(jobs, "verify_package", wait)
    row = dock.current()
    dock.package_actions.verify(row)
    assert dock.catalogue_buttons.running.isVisible()
    dock.package_actions.install([folder])
    assert dock.message.text == "Wait for what is running, or cancel it."
    go_on.set()
    at_rest(dock, qtbot)
    assert dock.message.text == "done"


def test_a_job_is_cancelled_by_its_button(
    dock: ModelsDock, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(_package: Path, ticket: jobs.Ticket) -> jobs.Done:
        while True:
            ticket.report(None, "comparing")

    monkeypatch.setattr(jobs, "verify_package", endless)
    dock.package_actions.verify(dock.current())
    dock.catalogue_buttons.cancel.click()
    at_rest(dock, qtbot)
    assert dock.message.text == "Cancelled."
