"""What is imported when: the process that draws napari's window pays for nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src/napari_medsyn"

#: Never in the process that draws the window: the engine's child holds them.
ENGINE_ONLY = {"torch", "monai", "SimpleITK"}
#: Nor these merely because a module of ours was imported.
LATE = ENGINE_ONLY | {"nibabel", "pydicom", "skimage", "scipy", "matplotlib"}
#: What may be absent below the plugin's floor.
SCREEN = {"napari", "qtpy", "PyQt6", "PySide6", "magicgui", "superqt"}

IMPORT_ONE_BY_ONE = """
import importlib, json, sys
found = {}
for name in json.loads(sys.argv[1]):
    before = set(sys.modules)
    importlib.import_module(name)
    heavy = (set(sys.modules) - before) & set(json.loads(sys.argv[2]))
    if heavy:
        found[name] = sorted(heavy)
print(json.dumps(found))
"""

OPEN_NAPARI = """
import json, sys
import napari
viewer = napari.Viewer(show=False)
before = sorted(set(sys.modules) & set(json.loads(sys.argv[1])))
viewer.window.add_plugin_dock_widget("napari-medsyn", sys.argv[2])
from qtpy.QtWidgets import QApplication
QApplication.processEvents()
after = sorted(set(sys.modules) & set(json.loads(sys.argv[1])))
viewer.close()
print(json.dumps([before, after]))
"""

IMPORT_TIME = """
import sys, time
start = time.perf_counter()
import napari_medsyn
print(time.perf_counter() - start)
"""


def run_python(code: str, *arguments: str) -> str:
    """Last line that `code` prints in a fresh interpreter."""
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


def modules_of(floor: str) -> list[str]:
    """Names of all modules of one floor, a folder or one file; not `__main__`, which runs."""
    folder = PACKAGE / floor
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    files = [file for file in files if file.name != "__main__.py"]
    dotted = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in dotted]


def loaded_by(modules: list[str], heavy: set[str]) -> dict[str, list[str]]:
    """Which of the `heavy` libraries each module is the first to load."""
    return json.loads(run_python(IMPORT_ONE_BY_ONE, json.dumps(modules), json.dumps(sorted(heavy))))


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by(["napari_medsyn"], LATE | SCREEN | {"numpy", "pydantic"}) == {}


def test_importing_the_package_takes_under_50_ms() -> None:
    # The best of five: other work on the machine only ever adds.
    assert min(float(run_python(IMPORT_TIME)) for _ in range(5)) < 0.05


@pytest.mark.parametrize("floor", ["errors", "resources", "scans", "registry", "exploration"])
def test_core_modules_load_neither_heavy_libraries_nor_qt(floor: str) -> None:
    modules = modules_of(floor)
    assert modules
    assert loaded_by(modules, LATE | SCREEN) == {}


def test_command_line_starts_without_heavy_libraries_and_qt() -> None:
    assert loaded_by(modules_of("cli"), LATE | SCREEN) == {}


def test_contributions_load_no_heavy_library() -> None:
    assert loaded_by(["napari_medsyn.plugin.contributions"], LATE) == {}


def test_plugin_modules_leave_torch_to_the_engine() -> None:
    # napari itself may load scipy or skimage; torch and SimpleITK are ours alone.
    assert loaded_by(modules_of("plugin"), ENGINE_ONLY) == {}


def test_the_check_itself_sees_a_heavy_import() -> None:
    assert loaded_by(["nibabel"], LATE)["nibabel"]


@pytest.mark.gl
def test_napari_opens_with_the_plugin_and_its_dock_without_torch() -> None:
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution("napari-medsyn")
    dock = manifest.contributions.widgets[0].display_name

    on_open, with_dock = json.loads(
        run_python(OPEN_NAPARI, json.dumps(sorted(ENGINE_ONLY | {"nibabel"})), dock)
    )

    assert on_open == []
    assert set(with_dock) & ENGINE_ONLY == set()
