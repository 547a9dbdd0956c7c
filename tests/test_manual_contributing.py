"""docs/contribute-a-model.md can be followed word by word."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

from napari_medsyn import cli
from napari_medsyn.registry.packages import verify

MANUAL = Path(__file__).resolve().parents[1] / "docs" / "contribute-a-model.md"
_BLOCK = re.compile(r"^ *```(sh|python|json)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def blocks(title: str) -> list[tuple[str, str]]:
    """Language and content of each block of code in one section of the manual."""
    section = MANUAL.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return _BLOCK.findall(section)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def follow(lines: str) -> None:
    """Type the commands of a block; `medsyn app` opens a window and has tests of its own."""
    for line in lines.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "medsyn"
        if arguments != ["app"]:
            assert cli.run(arguments) == 0, line


def fill_in(package: Path) -> None:
    """What the manual says in words: replace every field that says so."""
    path = package / "card.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("LicenseRef-FILL-IN", "CC0-1.0").replace("FILL IN", "Told"))


@pytest.mark.slow
def test_a_dcgan_as_written(home, tmp_path):
    [begin, network, weights, architecture, sliders, *rest] = blocks("A DCGAN")
    follow(begin[1])
    card = tmp_path / "work" / "my-gan" / "card.json"
    (tmp_path / "training.py").write_text(network[1] + weights[1])
    runpy.run_path(str(tmp_path / "training.py"))
    fields = json.loads(card.read_text())
    fields["architecture"] = json.loads(architecture[1])
    fields["controls"] = [c for c in fields["controls"] if c["name"] != "class"]
    card.write_text(json.dumps({**fields, "task": "unconditional"}))
    (tmp_path / "sliders.py").write_text(sliders[1])
    runpy.run_path(str(tmp_path / "sliders.py"))
    fill_in(card.parent)
    assert [language for language, _ in rest] == ["sh"] * 5
    for _, lines in rest:
        follow(lines)
    assert len(list((tmp_path / "work" / "samples").glob("*.png"))) == 4
    assert (tmp_path / "work" / "my-gan.zip").is_file()
    assert (tmp_path / "work" / "submission" / "SUBMISSION.md").is_file()
    installed = verify(home / "models" / "my-gan")
    assert len(installed.controls[-1].directions) == 100


@pytest.mark.slow
def test_code_of_your_own_as_written(home, tmp_path):
    begin, rest = blocks("Code of your own")
    follow(begin[1])
    package = tmp_path / "work" / "my-code"
    code = package / "code" / "generator.py"
    code.write_text(code.read_text() + "\nCHANGED = True\n")
    fill_in(package)
    follow(rest[1])
    follow("medsyn models contribute my-code --out submission-code")
    assert (tmp_path / "work" / "submission-code" / "submission.json").is_file()
    assert verify(home / "models" / "my-code").golden is not None
