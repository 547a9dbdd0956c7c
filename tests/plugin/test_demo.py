"""`medsyn app` and `medsyn demo`, with and without a display."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugin.conftest import Dock, patient

from napari_medsyn import resources
from napari_medsyn.errors import MedsynError
from napari_medsyn.plugin import app, demo

WEIGHTS = resources.folder() / "models" / "mmhvae-brain-mr-1mm" / "weights.safetensors"


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.mark.usefixtures("no_display")
def test_the_app_says_that_it_needs_a_display() -> None:
    with pytest.raises(MedsynError, match="no display"):
        app.run_app([])


@pytest.mark.usefixtures("no_display")
def test_the_demo_names_the_package_of_the_virtual_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MedsynError, match="apt-get install xvfb"):
        demo.run_demo(tmp_path)


@pytest.mark.usefixtures("no_display")
def test_the_demo_starts_itself_on_a_virtual_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("xvfb-run", "xauth"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    started: dict[str, Any] = {}

    def run(command: list[str], env: dict[str, str], check: bool) -> Any:
        started.update(command=command, env=env)
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setattr(subprocess, "run", run)
    assert demo.run_demo(tmp_path / "out") == 7
    assert started["command"] == [
        str(tmp_path / "xvfb-run"), "-a", "-s", "-screen 0 1600x1000x24",
        sys.executable, "-m", "napari_medsyn.plugin.demo", str(tmp_path / "out"),
    ]  # fmt: skip
    # The user's own settings of napari are left alone.
    assert not Path(started["env"]["NAPARI_CONFIG"]).exists()


def answering(dock: Dock, monkeypatch: pytest.MonkeyPatch, answer: Callable[[], None]) -> None:
    """Have the demo open `dock`, load two scans in it, and the engine give `answer`."""
    monkeypatch.setattr(demo, "open_window", lambda _size: (dock.viewer, dock.explorer))
    submit = dock.engine.submit

    def submit_and_answer(*arguments: Any) -> None:
        submit(*arguments)
        answer()

    monkeypatch.setattr(dock.engine, "submit", submit_and_answer)

    def load_sample(then: Callable[[], None]) -> None:
        dock.add(patient("T1"), patient("T2", seed=1))
        then()

    monkeypatch.setattr(dock.explorer, "load_sample", load_sample)


def test_the_demo_writes_results_and_picture_and_says_where(
    dock: Dock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answering(dock, monkeypatch, lambda: dock.engine.finish())
    assert demo.main(tmp_path) == 0
    printed = capsys.readouterr().out
    for name in ("imputed_FLAIR.nii.gz", "uncertainty_FLAIR.nii.gz", "provenance.json"):
        assert (tmp_path / name).is_file()
        assert str(tmp_path / name) in printed
    assert (tmp_path / demo.SCREENSHOT).stat().st_size > 1000


def test_a_demo_that_fails_exits_with_1_and_the_reason(
    dock: Dock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answering(dock, monkeypatch, lambda: dock.engine.fail("The model is torn."))
    assert demo.main(tmp_path / "out") == 1
    assert capsys.readouterr().err == "medsyn: The model is torn.\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.gl
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the embedded model is not there")
def test_the_demo_as_a_stranger_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nibabel
    from PIL import Image

    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    command = [sys.executable, "-m", "napari_medsyn.cli", "demo", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    flair = nibabel.load(tmp_path / "imputed_FLAIR.nii.gz").get_fdata()
    inside = flair[flair > 0]
    assert 0.2 < np.median(inside) < 1
    picture = np.asarray(Image.open(tmp_path / demo.SCREENSHOT).convert("L"), dtype=float)
    assert picture.shape == (1000, 1600) or min(picture.shape) > 600
    assert picture.std() > 20
