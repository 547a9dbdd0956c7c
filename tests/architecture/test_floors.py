"""Imports point down only, and the test of it sees a violation."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = Path(sys.executable).with_name("lint-imports")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of `folder`/pyproject.toml against the sources in `folder`/src."""
    return subprocess.run(
        [str(LINT), "--no-logo", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_imports_point_down() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("scans/planted.py", "import napari_medsyn.plugin", "Imports point down only"),
        ("registry/planted.py", "import napari_medsyn.models.family", "Imports point down only"),
        (
            "exploration/planted.py",
            "def later():\n    import qtpy",
            "Below the plugin there is neither napari nor Qt",
        ),
        ("scans/planted.py", "def later():\n    import torch", "Scans and registry know no torch"),
        (
            "plugin/planted.py",
            "def later():\n    import torch",
            "The plugin reaches torch only through an engine",
        ),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, module: str, line: str, contract: str) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "src/napari_medsyn" / module).write_text(line + "\n")

    result = lint_imports(tmp_path)

    assert result.returncode != 0
    assert f"{contract} BROKEN" in result.stdout
