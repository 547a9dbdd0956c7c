"""What is built holds all that it needs and nothing else, and works away from the sources."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    """What `command` prints on stdout; a failed command fails the test with its words."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist made from the sources and the wheel made from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel, and our dependencies by reference."""
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv/bin/python"
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet",
        "--no-deps", "--no-index", wheel, cwd=folder,
    )  # fmt: skip
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))",
                    cwd=folder).strip())  # fmt: skip
    # A line of a .pth file adds a folder without running that folder's own .pth files, so
    # the editable install of this environment stays out of reach: only the wheel is found.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_holds_the_package_and_its_resources(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = {p.parent.name for p in (ROOT / "resources/models").glob("*/card.json")}
    assert packages
    expected = {"napari_medsyn/napari.yaml", "napari_medsyn/py.typed"}
    for package in packages:
        for file in ("card.json", "weights.safetensors", "preview.png"):
            expected.add(f"napari_medsyn/resources/models/{package}/{file}")
    assert expected <= names


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"napari_medsyn"}


def test_every_source_file_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {str(p.relative_to(ROOT / "src")) for p in (ROOT / "src").rglob("*.py")}
    assert sources <= names


def test_the_sdist_holds_what_a_developer_needs(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    for expected in ("pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "tox.ini",
                     "scripts/test.sh", "tests/architecture/test_wheel.py"):  # fmt: skip
        assert expected in names
    assert not {name for name in names if name.startswith(("shared", "runs", ".venv"))}


def test_the_installed_wheel_is_what_is_imported(installed: Path, tmp_path: Path) -> None:
    code = "import napari_medsyn; print(napari_medsyn.__file__)"
    file = Path(run(installed, "-c", code, cwd=tmp_path).strip())
    assert file.is_relative_to(installed.parents[1])


def test_the_manifest_of_the_installed_wheel_is_valid(installed: Path, tmp_path: Path) -> None:
    run(installed, "-m", "npe2", "validate", "napari-medsyn", cwd=tmp_path)


def test_the_installed_command_finds_its_models(installed: Path, tmp_path: Path) -> None:
    medsyn = installed.with_name("medsyn")
    listed = json.loads(run(medsyn, "models", "list", "--json", cwd=tmp_path))
    assert "mmhvae-brain-mr-1mm" in json.dumps(listed)
    run(medsyn, "models", "verify", cwd=tmp_path)
