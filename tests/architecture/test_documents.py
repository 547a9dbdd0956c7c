"""What README and docs say can be done can be done: links, commands, options."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEDSYN = Path(sys.executable).with_name("medsyn")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    """Code blocks of the README in one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def medsyn_lines() -> list[list[str]]:
    """Every `medsyn …` line of the README, as arguments."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("medsyn ")]


def subcommand(arguments: list[str]) -> list[str]:
    """Leading words that name the command: `models import mmhvae`, `models info`, `impute`."""
    if arguments[0] != "models":
        return arguments[:1]
    return arguments[:3] if arguments[1] == "import" else arguments[:2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [
        link
        for link in links
        if not link.startswith(("http:", "https:", "mailto:")) and not (page.parent / link).exists()
    ]
    assert missing == []


def test_the_two_commands_each_have_a_block_of_their_own() -> None:
    assert {"bash scripts/demo.sh\n", "bash scripts/test.sh\n"} <= set(blocks("sh"))


def test_the_first_lines_say_what_it_is_and_is_not() -> None:
    start = README[:900]
    assert "**not** the text-to-CT model" in start
    assert "not for diagnosis" in start


@pytest.mark.parametrize("command", sorted({" ".join(subcommand(line)) for line in medsyn_lines()}))
def test_the_command_line_of_the_readme_exists(command: str) -> None:
    result = subprocess.run(
        [str(MEDSYN), *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=False,
        # Help is drawn as wide as the terminal; options must not be cut.
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
    )
    assert result.returncode == 0, result.stderr
    used = {
        word
        for line in medsyn_lines()
        if " ".join(subcommand(line)) == command
        for word in line
        if word.startswith("--")
    }
    assert {option for option in used if option not in result.stdout} == set()


def test_the_python_of_the_readme_compiles() -> None:
    assert blocks("python")
    for block in blocks("python"):
        compile(block, "README.md", "exec")
