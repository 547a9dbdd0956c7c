"""Make the pictures of README and docs: `xvfb-run -a -s "-screen 0 1600x1000x24" python …`.

The sample patient and the embedded model, imputed for these pictures; nothing is drawn
or retouched.  Without a display it starts itself on a virtual screen.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from napari_medsyn.plugin.app import has_display, open_window
from napari_medsyn.plugin.demo import SCREEN, impute_sample, take_picture

FOLDER = Path(__file__).parent / "images"


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
    viewer.close()
    for path in pictures:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
