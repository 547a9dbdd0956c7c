"""The shell functions behind demo.sh and test.sh, with pretended system programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("bash") is None,
    reason="the scripts prepare a Linux machine",
)


class Machine:
    """A folder of pretended programs that goes first on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, name: str, body: str) -> None:
        """Put a program there: the lines of a bash script."""
        path = self.folder / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def call(self, lines: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `lines` after sourcing _system.sh."""
        script = f'set -euo pipefail\nROOT="{ROOT}"\nsource "{SCRIPTS}/_system.sh"\n{lines}'
        path = f"{self.folder}:/usr/bin:/bin"
        return subprocess.run(
            ["/bin/bash", "-c", script],
            env={"PATH": path, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A Debian where nothing is installed, apt knows old names only, and we are root."""
    made = Machine(tmp_path)
    made.has("dpkg-query", "exit 1")
    made.has("apt-cache", 'case "$2" in *t64|libxcb-xkb1) exit 100;; esac')
    made.has("apt-get", f'echo "$@" >>{tmp_path}/apt.log')
    made.has("id", "echo 0")
    return made


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_parse(script: Path) -> None:
    assert subprocess.run(["/bin/bash", "-n", str(script)], check=False).returncode == 0


def test_missing_packages_are_installed_under_the_name_that_apt_knows(machine: Machine) -> None:
    result = machine.call("prepare_system")

    assert result.returncode == 0, result.stderr
    asked = (machine.folder / "apt.log").read_text().splitlines()
    assert asked[0].startswith("update")
    names = asked[1].split()
    assert {"libegl1", "libglib2.0-0", "xvfb"} <= set(names)
    assert "libglib2.0-0t64" not in names
    assert "libxcb-xkb1" not in names  # unknown here: named, not fatal
    assert "no package libxcb-xkb1" in result.stderr


def test_the_renamed_package_counts_as_installed(machine: Machine) -> None:
    machine.has("dpkg-query", 'case "$3" in libglib2.0-0t64) echo -n installed;; *) exit 1;; esac')
    missing = machine.call("missing_packages").stdout.splitlines()
    assert "libegl1" in missing
    assert not [names for names in missing if "libglib" in names]


def test_a_removed_package_counts_as_missing(machine: Machine) -> None:
    machine.has("dpkg-query", "echo -n config-files")
    assert "libegl1" in machine.call("missing_packages").stdout.splitlines()


def test_nothing_is_asked_of_apt_where_all_is_there(machine: Machine) -> None:
    machine.has("dpkg-query", "echo -n installed")
    result = machine.call("prepare_system")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert not (machine.folder / "apt.log").exists()


def test_who_may_not_install_is_told_what_to_ask_for(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    machine.has("sudo", "exit 1")
    result = machine.call("prepare_system")
    assert result.returncode == 0
    assert "sudo apt-get install" in result.stderr
    assert "libegl1" in result.stderr
    assert not (machine.folder / "apt.log").exists()


def test_a_failed_installation_warns_and_goes_on(machine: Machine) -> None:
    machine.has("apt-get", "echo no such mirror; exit 100")
    result = machine.call("prepare_system; echo went on")
    assert result.stdout.splitlines()[-1] == "went on"
    assert "no such mirror" in result.stderr


def test_other_systems_are_told_which_libraries_are_missing(machine: Machine) -> None:
    machine.has("ldconfig", "echo libGL.so.1")
    result = machine.call("is_debian() { return 1; }; prepare_system")
    assert result.returncode == 0
    assert "libEGL.so.1" in result.stderr
    assert "libGL.so.1 " not in result.stderr


def test_an_old_python_is_passed_over(machine: Machine) -> None:
    for name in ("python3", "python3.11", "python3.13"):
        machine.has(name, "exit 1")
    machine.has("python3.12", "exit 0")
    assert machine.call("find_python").stdout.strip() == str(machine.folder / "python3.12")


def test_no_python_is_an_error_with_a_remedy(machine: Machine) -> None:
    result = machine.call("find_python", MEDSYN_PYTHON="/nowhere/python")
    assert result.returncode == 1
    assert "MEDSYN_PYTHON=" in result.stderr


def test_supported_versions_are_those_of_the_metadata(machine: Machine) -> None:
    accepted = machine.call(f'is_supported_python "{sys.executable}"').returncode == 0
    assert accepted == ((3, 11) <= sys.version_info[:2] <= (3, 13))


CPU_FROM_PIP = "-m pip install -qq torch==2.13.0+cpu"
CPU_FROM_INDEX = "--index-url https://download.pytorch.org/whl/cpu torch"
DEFAULT = "-m pip install -qq torch"


@pytest.mark.parametrize(
    ("card", "works", "asked"),
    [
        # What pip is asked for, in order, until one of them works.
        (False, CPU_FROM_PIP, [CPU_FROM_PIP]),
        (False, CPU_FROM_INDEX, [CPU_FROM_PIP, CPU_FROM_INDEX]),
        (False, DEFAULT, [CPU_FROM_PIP, CPU_FROM_INDEX, DEFAULT]),
        (True, DEFAULT, [DEFAULT]),
    ],
)
def test_torch_is_the_cpu_build_unless_there_is_a_card(
    machine: Machine, card: bool, works: str, asked: list[str]
) -> None:
    log = machine.folder / "pip.log"
    machine.has("python", f'[ "$1" = -c ] && exit 1\necho "$@" >>{log}\n[[ "$*" == *"{works}" ]]')
    has_card = "true" if card else "false"
    pretend = f'command() {{ [ "$2" != nvidia-smi ] || {has_card}; }}'

    result = machine.call(f"{pretend}\ninstall_torch {machine.folder}/python")

    assert result.returncode == 0, result.stderr
    lines = log.read_text().splitlines()
    assert [line.endswith(end) for line, end in zip(lines, asked, strict=True)] == [True] * len(
        asked
    )


def test_ci_runs_the_tests_script(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    (tmp_path / "scripts/test.sh").write_text("echo tests ran\nexit 3\n")
    result = subprocess.run(
        ["/bin/bash", str(tmp_path / ".ci/run")],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert (result.returncode, result.stdout) == (3, "tests ran\n")
