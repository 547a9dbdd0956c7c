"""`medsyn demo`: the sample patient with its missing modalities imputed, in a window.

Without a display the same window is opened on a virtual screen, and what it shows is
written to files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_medsyn.errors import EngineError, MedsynError
from napari_medsyn.plugin.app import has_display, open_window

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_medsyn.exploration.requests import Progress
    from napari_medsyn.plugin.explorer import Explorer

#: Width and height of the virtual screen and of the window on it, pixels.
SCREEN: Final = (1600, 1000)
SCREENSHOT: Final = "medsyn-demo.png"

#: Longest time for reading, preparing and imputing; a laptop takes well under a minute.
_LIMIT_S: Final = 1800

#: Steps from which a phase is told in quarters.
_LONG: Final = 20


def run_demo(out: Path) -> int:
    """Show the sample patient, imputed; without a display write what is shown into `out`.

    Returns
    -------
    0 if the window was opened or, without a display, if all files were written.

    Raises
    ------
    MedsynError : no virtual screen or no Qt binding is installed.
    """
    if not has_display():
        return _on_virtual_screen(out)
    import napari

    _, explorer = open_window()
    start(explorer)
    napari.run()
    return 0


def start(explorer: Explorer) -> None:
    """Load the sample patient, impute what is missing, show it side by side."""

    def compare(_finished: object) -> None:
        explorer.session.finished.disconnect(compare)
        explorer.comparison.show_side_by_side(True)

    explorer.session.finished.connect(compare)
    explorer.load_sample(then=explorer.impute)


def record(out: Path) -> list[Path]:
    """Do as `start`, wait, and write the results and a picture of the window into `out`.

    Needs a display, real or virtual.

    Returns
    -------
    The files, the picture last.

    Raises
    ------
    MedsynError : the imputation failed or the files could not be written.
    """
    from napari_medsyn.exploration.saving import save_results

    viewer, explorer = open_window(SCREEN)
    reporter = _Reporter()
    explorer.session.progressed.connect(reporter.report)
    try:
        impute_sample(explorer)
        results = explorer.session.results
        reference = explorer.session.results_reference
        if results is None or reference is None:
            raise EngineError(explorer.message.text or "The imputation ended without a result.")
        files = save_results(results, reference, out)
        explorer.comparison.show_side_by_side(True)
        explorer.comparison.uncertainty.setChecked(True)
        return [*files, take_picture(viewer, out / SCREENSHOT)]
    finally:
        viewer.close()


def impute_sample(explorer: Explorer) -> None:
    """Load the sample patient, impute, and come back when all layers are there.

    Raises
    ------
    EngineError : it takes longer than half an hour.
    """
    ended: list[object] = []
    explorer.session.finished.connect(ended.append)
    explorer.session.failed.connect(lambda *_: ended.append(None))
    explorer.load_sample(then=explorer.impute)
    # A refusal (no model, a broken sample) is told in the dock and starts nothing.
    wait_until(lambda: bool(ended or explorer.message.text))
    wait_until(lambda: not explorer.has_work)


def take_picture(viewer: Viewer, path: Path) -> Path:
    """Write a picture of the whole window as PNG, once it has been drawn."""
    from qtpy.QtWidgets import QApplication

    for _ in range(3):
        QApplication.processEvents()
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    return path


def wait_until(condition: Callable[[], bool], limit_s: float = _LIMIT_S) -> None:
    """Let Qt's event loop run until `condition` holds.

    Raises
    ------
    EngineError : it does not within `limit_s`.
    """
    from qtpy.QtCore import QEventLoop, QTimer

    loop, poll, limit = QEventLoop(), QTimer(), QTimer()
    poll.setInterval(50)
    poll.timeout.connect(lambda: loop.quit() if condition() else None)
    limit.setSingleShot(True)
    limit.timeout.connect(loop.quit)
    poll.start()
    limit.start(round(limit_s * 1000))
    loop.exec()
    if not condition():
        raise EngineError(f"Gave up after {limit_s:.0f} s.")


def _on_virtual_screen(out: Path) -> int:
    program = shutil.which("xvfb-run")
    if program is None or shutil.which("xauth") is None:
        raise MedsynError(
            "There is no display and no virtual screen: xvfb-run is missing. Install it (Debian "
            "and Ubuntu: apt-get install xvfb xauth; Fedora: dnf install xorg-x11-server-Xvfb)."
        )
    _say("No display: opening the window on a virtual screen.")
    screen = f"-screen 0 {SCREEN[0]}x{SCREEN[1]}x24"
    command = [program, "-a", "-s", screen, sys.executable, "-m", __name__, str(out)]
    with tempfile.TemporaryDirectory(prefix="medsyn-") as settings:
        # The user's own napari settings are neither read nor changed.
        config = str(Path(settings) / "napari.yaml")
        environment = {**os.environ, "LIBGL_ALWAYS_SOFTWARE": "1", "NAPARI_CONFIG": config}
        # "offscreen" and its like draw no layers; only a window on the screen does.
        environment.pop("QT_QPA_PLATFORM", None)
        return subprocess.run(command, env=environment, check=False).returncode


def main(out: Path) -> int:
    """What runs on the virtual screen: `record`, and where the files are."""
    try:
        files = record(out)
    except MedsynError as error:
        sys.stderr.write(f"medsyn: {error}\n")
        return 1
    _say("Imputed the missing modalities of the sample patient:")
    for path in files:
        _say(f"  {path.resolve()}")
    return 0


class _Reporter:
    """Says each new phase of the computation, and every quarter of a long one."""

    def __init__(self) -> None:
        self._said = ("", 0)

    def report(self, progress: Progress) -> None:
        quarter = 4 * progress.done // progress.total if progress.total > _LONG else 0
        if (progress.phase, quarter) != self._said:
            self._said = progress.phase, quarter
            _say(f"  {progress.phase}" + (f", {25 * quarter} %" if quarter else ""))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
