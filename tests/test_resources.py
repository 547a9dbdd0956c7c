"""The shipped resources are found in a source tree, in a wheel, and missed with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_medsyn import resources
from napari_medsyn.errors import UnusableFile


def place(monkeypatch: pytest.MonkeyPatch, package: Path) -> None:
    """Pretend that the package is installed in the folder `package`."""
    package.mkdir(parents=True)
    monkeypatch.setattr(resources, "__file__", str(package / "resources.py"))


def test_beside_the_module_in_a_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "site-packages/napari_medsyn"
    place(monkeypatch, package)
    (package / "resources").mkdir()
    assert resources.folder() == package / "resources"


def test_at_the_top_of_a_source_tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place(monkeypatch, tmp_path / "src/napari_medsyn")
    (tmp_path / "resources").mkdir()
    assert resources.folder() == tmp_path / "resources"


def test_a_broken_installation_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place(monkeypatch, tmp_path / "src/napari_medsyn")
    with pytest.raises(UnusableFile, match="install napari-medsyn again"):
        resources.folder()
