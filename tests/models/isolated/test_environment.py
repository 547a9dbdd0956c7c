"""Which Python runs a package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.models.isolated._packages import make_package

from napari_medsyn.errors import EngineError, UnusableModel
from napari_medsyn.models.isolated import environment
from napari_medsyn.registry.card import ModelCard


def card_that_needs(folder: Path, *packages: str) -> ModelCard:
    return make_package(folder, requires={"packages": list(packages)})[1]


def test_this_python_runs_what_it_has_everything_for(tmp_path: Path) -> None:
    card = card_that_needs(tmp_path / "p", "numpy>=1.20", "pydantic", "x; python_version < '3'")

    assert environment.interpreter(card) == Path(sys.executable)


@pytest.mark.parametrize(
    "missing", ["no-such-package-here", "numpy<1.0", "numpy==1.2.3", "-r/etc/passwd", "a b"]
)
def test_what_is_missing_is_refused_with_the_command(tmp_path: Path, missing: str) -> None:
    card = card_that_needs(tmp_path / "p", missing, "numpy")

    with pytest.raises(UnusableModel, match="medsyn models environment made-code") as refused:
        environment.interpreter(card)

    assert missing in str(refused.value)


def test_the_same_requirements_share_an_environment(tmp_path: Path) -> None:
    one = card_that_needs(tmp_path / "p", "a", "b")
    same = card_that_needs(tmp_path / "q", "b", "a")
    other = card_that_needs(tmp_path / "r", "a")

    assert environment.folder_of(one) == environment.folder_of(same)
    assert environment.folder_of(one) != environment.folder_of(other)


def test_an_environment_of_its_own_comes_first(tmp_path: Path, home: Path) -> None:
    """With a real environment, but without pip: this test is offline."""
    card = card_that_needs(tmp_path / "p", "no-such-package-here")
    folder = environment.folder_of(card)
    assert folder.is_relative_to(home)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    with pytest.raises(UnusableModel):  # it was not finished
        environment.interpreter(card)
    (folder / "medsyn-environment.json").write_text("{}")

    python = environment.interpreter(card)

    asked = [str(python), "-c", "import sys; print(sys.prefix)"]
    assert subprocess.check_output(asked, text=True).strip() == str(folder)


class Commands:
    """Stands in for running programs; fails at the one that holds `failing`."""

    def __init__(self, failing: str = "nothing") -> None:
        self.failing = failing
        self.seen: list[list[str]] = []

    def __call__(self, command: list[str], **_: Any) -> Any:
        self.seen.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir()
        fails = self.failing in command
        said = "warning\nERROR: no matching distribution\n" if fails else ""
        return subprocess.CompletedProcess(command, int(fails), "", said)


def test_an_environment_is_made_with_venv_and_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = Commands()
    monkeypatch.setattr(subprocess, "run", commands)
    card = card_that_needs(tmp_path / "p", "torch==1.9", "numpy<2")
    told: list[str] = []

    python = environment.create(card, python=Path("/usr/bin/python3.9"), tell=told.append)
    again = environment.create(card)

    assert python == again
    assert len(commands.seen) == 2
    assert commands.seen[0][:3] == ["/usr/bin/python3.9", "-m", "venv"]
    assert commands.seen[1][0] == str(python)
    assert commands.seen[1][-4:] == ["--", "numpy", "torch==1.9", "numpy<2"]
    assert len(told) == 2


def test_nothing_is_left_of_an_environment_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", Commands("pip"))
    card = card_that_needs(tmp_path / "p", "torch==1.9")

    with pytest.raises(EngineError, match="no matching distribution"):
        environment.create(card)

    assert not environment.folder_of(card).exists()
