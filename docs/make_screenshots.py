"""Make the pictures of README and docs: `xvfb-run -a -s "-screen 0 1600x1000x24" python …`.

The sample patient and the embedded model, imputed for these pictures; nothing is drawn
or retouched.  Without a display it starts itself on a virtual screen.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medsyn.plugin.app import has_display, open_window
from napari_medsyn.plugin.demo import SCREEN, impute_sample, take_picture, wait_until
from napari_medsyn.plugin.opening import open_models_dock

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_medsyn.plugin.explorer import Explorer

FOLDER = Path(__file__).parent / "images"

#: medigan's registry, where it is at hand: 23 models that are not ours.
MEDIGAN = Path(__file__).parents[2] / "shared" / "reference" / "medigan" / "global.json"

#: The model of the counterfactual, and by how many years the patient ages.
COUNTERFACTUALS, YEARS = "mssg-brain-t1", 25

#: Size of the Models dock, pixels.
MODELS = (1180, 640)


def main() -> int:
    """Write every picture; give the exit status."""
    if not has_display():
        program = shutil.which("xvfb-run")
        if program is None:
            print("xvfb-run is missing: apt-get install xvfb xauth", file=sys.stderr)
            return 1
        screen = f"-screen 0 {SCREEN[0]}x{SCREEN[1]}x24"
        command = [program, "-a", "-s", screen, sys.executable, __file__]
        return subprocess.run(command, check=False).returncode
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ["MEDSYN_HOME"] = home
        return picture_all(Path(home))


def picture_all(home: Path) -> int:
    """Write every picture with the models of the data folder `home`; give the exit status."""
    install_guests(home)
    viewer, explorer = open_window(SCREEN)
    impute_sample(explorer)
    if explorer.session.results is None:
        print(explorer.message.text, file=sys.stderr)
        return 1
    explorer.comparison.show_side_by_side(True)
    explorer.comparison.uncertainty.setChecked(True)
    pictures = [take_picture(viewer, FOLDER / "sample-imputed-flair.png")]
    explorer.model_panel.about.click()
    dialog = explorer.model_panel.dialog
    if dialog is not None:
        dialog.grab().save(str(FOLDER / "model-card.png"))
        pictures.append(FOLDER / "model-card.png")
        dialog.close()
    imputing = explorer.session.package
    pictures.append(picture_older(viewer, explorer))
    if imputing is not None:
        pictures.append(picture_models(viewer, imputing))
    viewer.close()
    for path in pictures:
        print(path)
    return 0


def install_guests(home: Path) -> None:
    """Put packages into an empty data folder: two templates, and medigan's registry if here."""
    from napari_medsyn.exploration.beginning import begin
    from napari_medsyn.registry.importers.medigan import import_registry

    begin(home / "models" / "my-gan", "dcgan", model_id="my-gan", name="My GAN")
    begin(home / "models" / "my-code", "python", model_id="my-code", name="My own code")
    if MEDIGAN.is_file():
        import_registry(MEDIGAN, home / "medigan")
        for package in (home / "medigan").iterdir():
            package.rename(home / "models" / package.name)


def picture_older(viewer: Viewer, explorer: Explorer) -> Path:
    """The sample patient, `YEARS` older, with the difference laid over it."""
    session = explorer.session
    explorer.comparison.show_side_by_side(False)
    explorer.comparison.uncertainty.setChecked(False)
    session.choose_model(COUNTERFACTUALS)
    session.invert()
    settle(explorer)
    if session.own is None:
        raise SystemExit(f"the sample was not inverted: {explorer.message.text}")
    session.set_control("age", session.own["age"] + YEARS)
    session.impute()
    settle(explorer)
    explorer.comparison.difference.click()
    return take_picture(viewer, FOLDER / "sample-older.png")


def settle(explorer: Explorer) -> None:
    """Wait until the dock has had nothing to do for a second: one work leads to another."""
    idle = 0

    def is_settled() -> bool:
        nonlocal idle
        idle = 0 if explorer.has_work else idle + 1
        return idle > 20

    wait_until(is_settled, 300)


def picture_models(viewer: Viewer, model: Path) -> Path:
    """The Models dock with the package `model` chosen, as a window of its own."""
    from napari.qt import get_stylesheet

    dock = open_models_dock(viewer)
    dock.setParent(None)
    dock.setStyleSheet(get_stylesheet(viewer.theme))
    dock.resize(*MODELS)
    dock.show()
    wait_until(lambda: not dock.has_work, 60)
    dock.select(model)
    wait_until(lambda: not dock.has_work, 60)
    path = FOLDER / "models-dock.png"
    dock.grab().save(str(path))
    return path


if __name__ == "__main__":
    sys.exit(main())
