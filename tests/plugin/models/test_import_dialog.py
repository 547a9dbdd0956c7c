"""The forms of the importers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog, QPushButton

from napari_medsyn.cli.importing import group
from napari_medsyn.plugin.models.import_dialog import IMPORTERS, ImportDialog, Importer

BY_COMMAND = {importer.command: importer for importer in IMPORTERS}


def dialog_of(command: str, qtbot: QtBot) -> tuple[ImportDialog, list[Any]]:
    given: list[tuple[Path, Sequence[tuple[str, str]]]] = []
    dialog = ImportDialog(None, BY_COMMAND[command], lambda *got: given.append(got))
    qtbot.addWidget(dialog)
    return dialog, given


def test_every_importer_of_the_command_line_is_offered() -> None:
    known = {command.name for command in group.registered_commands}
    assert set(BY_COMMAND) == known


@pytest.mark.parametrize("importer", IMPORTERS, ids=lambda importer: importer.command)
def test_its_options_are_those_of_the_command_line(importer: Importer) -> None:
    import typer

    commands = typer.main.get_command(group).commands  # type: ignore[attr-defined]
    known = {option for p in commands[importer.command].params for option in p.opts}
    assert {asked.option for asked in importer.asked if asked.option} <= known


def test_what_is_needed_is_needed_before_the_import_can_start(qtbot: QtBot) -> None:
    dialog, _ = dialog_of("stylegan", qtbot)
    assert not dialog.start.isEnabled()
    dialog.fields["Snapshot"].setText("/a/b.pkl")
    assert not dialog.start.isEnabled()
    dialog.fields["Labels"].setText("/a/spec.json")
    assert dialog.start.isEnabled()
    dialog.fields["Labels"].setText("   ")
    assert not dialog.start.isEnabled()


def test_what_was_filled_in_is_handed_on(qtbot: QtBot) -> None:
    dialog, given = dialog_of("stylegan", qtbot)
    dialog.fields["Snapshot"].setText(" /a/b.pkl ")
    dialog.fields["Labels"].setText("/a/spec.json")
    dialog.fields["Licence"].setText("MIT")
    dialog.start.click()
    assert given == [
        (Path("/a/b.pkl"), [("--labels", "/a/spec.json"), ("--id", ""), ("--licence", "MIT")])
    ]


def test_leaving_hands_on_nothing(qtbot: QtBot) -> None:
    dialog, given = dialog_of("mmhvae", qtbot)
    dialog.reject()
    assert given == []


@pytest.mark.parametrize(
    ("command", "label", "asker", "answer"),
    [
        ("mmhvae", "Checkpoint", "getOpenFileName", ("/a/b.pth", "")),
        ("monai-bundle", "Bundle", "getExistingDirectory", "/a/b"),
    ],
)
def test_browsing_fills_the_field(
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    label: str,
    asker: str,
    answer: Any,
) -> None:
    dialog, _ = dialog_of(command, qtbot)
    monkeypatch.setattr(QFileDialog, asker, staticmethod(lambda *_: answer))
    browse = next(
        b for b in dialog.findChildren(QPushButton) if b.accessibleName() == f"Browse for {label}"
    )
    browse.click()
    assert dialog.fields[label].text().startswith("/a/b")


def test_every_field_has_a_name_for_those_who_hear_it(qtbot: QtBot) -> None:
    for command in BY_COMMAND:
        dialog, _ = dialog_of(command, qtbot)
        assert all(field.accessibleName() for field in dialog.fields.values())
