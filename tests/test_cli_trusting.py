"""`medsyn models trust | untrust | environment`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import typer
from tests.models.isolated._packages import make_package
from typer.testing import CliRunner

from napari_medsyn.cli import trusting
from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.consent import code_facts, has_consent

app = typer.Typer()
trusting.register(app)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, with nothing embedded."""
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    embedded = tmp_path / "embedded"
    monkeypatch.setattr("napari_medsyn.registry.catalogue.embedded_folder", lambda: embedded)
    return tmp_path / "home" / "models"


def run(*arguments: str) -> str:
    """What a command answers on standard output."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_trust_shows_what_it_is_and_remembers(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package, card = make_package(models / "p")
    result = CliRunner().invoke(app, ["trust", "made-code"])

    facts = code_facts(package, card)
    assert result.stdout.strip() == facts.sha256
    assert str(facts.folder) in result.stderr
    assert all(sha256 in result.stderr for _, sha256 in facts.files)
    assert has_consent(package, card)


def test_a_folder_may_be_trusted_and_untrusted(models: Path, tmp_path: Path) -> None:
    package, card = make_package(tmp_path / "elsewhere")

    answer = json.loads(run("trust", str(package), "--json"))
    assert answer["folder"] == str(package / "code")
    assert has_consent(package, card)
    run("untrust", str(package))
    assert not has_consent(package, card)


def test_what_is_damaged_is_not_trusted(models: Path) -> None:
    package, card = make_package(models / "p")
    (package / "code" / "model.py").write_text("import os")

    result = CliRunner().invoke(app, ["trust", str(package)])

    assert isinstance(result.exception, UnusableModel)
    assert not has_consent(package, card)


def test_nothing_is_made_where_nothing_is_missing(models: Path) -> None:
    make_package(models / "p", requires={"packages": ["numpy"]})

    assert run("environment", "made-code").strip() == sys.executable
    assert not (models.parent / "environments").exists()
